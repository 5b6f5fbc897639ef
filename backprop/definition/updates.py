"""Update rules (N7): one step of each optimizer that steps along a batch's mean gradient.

w, g and each slot are flat, a number for each parameter. Slots hold a rule's state for every parameter (moments,
velocities), scalars its other state (powers of Adam's betas), settings its hyperparameters; `trained` are the
indices of the parameters that may move.
"""

import math

from .values import Matrix, Vector


def sgd(w: Vector, g: Vector, slots: Matrix, scalars: Vector, settings: Vector, trained: list[int]) -> None:
    (lr,) = settings
    for k in trained:
        w[k] = w[k] - lr * g[k]


def momentum(w: Vector, g: Vector, slots: Matrix, scalars: Vector, settings: Vector, trained: list[int]) -> None:
    (v,), (lr, mu) = slots, settings
    for k in trained:
        v[k] = mu * v[k] - lr * g[k]
        w[k] = w[k] + v[k]


def nesterov(w: Vector, g: Vector, slots: Matrix, scalars: Vector, settings: Vector, trained: list[int]) -> None:
    (v,), (lr, mu) = slots, settings
    for k in trained:
        v[k] = mu * v[k] - lr * g[k]
        w[k] = w[k] + (mu * v[k] - lr * g[k])


def adam(w: Vector, g: Vector, slots: Matrix, scalars: Vector, settings: Vector, trained: list[int]) -> None:
    """Adam (Kingma and Ba 2015, algorithm 1 in the efficient form at the end of their section 2)."""
    (m, v), (lr, b1, b2, epsilon) = slots, settings
    scalars[0] = scalars[0] * b1
    scalars[1] = scalars[1] * b2
    rate = (lr * math.sqrt(1.0 - scalars[1])) / (1.0 - scalars[0])
    for k in trained:
        m[k] = b1 * m[k] + (1.0 - b1) * g[k]
        v[k] = b2 * v[k] + (1.0 - b2) * (g[k] * g[k])
        w[k] = w[k] - (rate * m[k]) / (math.sqrt(v[k]) + epsilon)


def adamw(w: Vector, g: Vector, slots: Matrix, scalars: Vector, settings: Vector, trained: list[int]) -> None:
    """AdamW (Loshchilov and Hutter 2019, algorithm 2): the decay is subtracted from w, not added to the gradient."""
    (m, v), (lr, b1, b2, epsilon, decay) = slots, settings
    scalars[0] = scalars[0] * b1
    scalars[1] = scalars[1] * b2
    rate = (lr * math.sqrt(1.0 - scalars[1])) / (1.0 - scalars[0])
    shrink = lr * decay
    for k in trained:
        m[k] = b1 * m[k] + (1.0 - b1) * g[k]
        v[k] = b2 * v[k] + (1.0 - b2) * (g[k] * g[k])
        w[k] = (w[k] - shrink * w[k]) - (rate * m[k]) / (math.sqrt(v[k]) + epsilon)


def rmsprop(w: Vector, g: Vector, slots: Matrix, scalars: Vector, settings: Vector, trained: list[int]) -> None:
    """RMSprop (Tieleman and Hinton 2012, lecture 6.5)."""
    (v,), (lr, rho, epsilon) = slots, settings
    for k in trained:
        v[k] = rho * v[k] + (1.0 - rho) * (g[k] * g[k])
        w[k] = w[k] - (lr * g[k]) / (math.sqrt(v[k]) + epsilon)


def rmsprop_momentum(
    w: Vector, g: Vector, slots: Matrix, scalars: Vector, settings: Vector, trained: list[int]
) -> None:
    (v, u), (lr, rho, epsilon, mu) = slots, settings
    for k in trained:
        v[k] = rho * v[k] + (1.0 - rho) * (g[k] * g[k])
        u[k] = mu * u[k] + (lr * g[k]) / (math.sqrt(v[k]) + epsilon)
        w[k] = w[k] - u[k]


def sign(x: float) -> float:
    return 1.0 if x > 0.0 else -1.0 if x < 0.0 else 0.0


def new_step(step: float, turn: float, settings: Vector) -> float:
    """The new step size: larger if the gradient has kept its sign (turn > 0), smaller if not (turn < 0), in bounds."""
    increase, decrease, low, high = settings
    if turn > 0.0:
        step = step * increase
        return high if step > high else step
    if turn < 0.0:
        step = step * decrease
        return low if step < low else step
    return step


def irprop_minus(w: Vector, g: Vector, slots: Matrix, scalars: Vector, settings: Vector, trained: list[int]) -> None:
    """iRprop- (Igel and Huesken 2000): a weight whose gradient has changed its sign stays for one step."""
    before, step = slots
    for k in trained:
        turn = sign(before[k]) * sign(g[k])
        step[k] = new_step(step[k], turn, settings)
        before[k] = 0.0 if turn < 0.0 else g[k]
        w[k] = w[k] - sign(before[k]) * step[k]


def rprop_plus(w: Vector, g: Vector, slots: Matrix, scalars: Vector, settings: Vector, trained: list[int]) -> None:
    """Rprop+ (Riedmiller and Braun 1993): a weight whose gradient has changed its sign takes its last step back."""
    before, step, moved = slots
    for k in trained:
        turn = sign(before[k]) * sign(g[k])
        step[k] = new_step(step[k], turn, settings)
        before[k] = 0.0 if turn < 0.0 else g[k]
        moved[k] = -moved[k] if turn < 0.0 else sign(g[k]) * step[k]
        w[k] = w[k] - moved[k]


UPDATE_RULES = {
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": nesterov,
    "adam": adam,
    "adamw": adamw,
    "rmsprop": rmsprop,
    "rmsprop_momentum": rmsprop_momentum,
    "irprop_minus": irprop_minus,
    "rprop_plus": rprop_plus,
}
