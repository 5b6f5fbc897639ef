"""Full-batch methods: optimizers that decide themselves how far to step and when to end.

`definition/lbfgs.py` and `definition/levenberg_marquardt.py` define their steps.
"""

from dataclasses import dataclass

from . import arguments
from .arguments import FloatArray
from .hints import hinted_class
from .plans import Plan, check


@hinted_class
@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS: quasi-Newton steps on all rows at once, with a line search for the length of each.

    Parameters
    ----------
    memory : int from 1 to 1000, default 10
        Number of recent steps from which the curvature is estimated. The state is ``2*memory`` numbers for each
        parameter.
    tolerance : float in [0, inf), default 1e-8
        The run ends when no component of the gradient is larger in absolute value.
    l2 : float in [0, inf), default 0.0
        Penalty: ``l2/2`` times the sum of the squared weights, without biases, is added to the objective. The reported
        losses do not include it.
    max_evaluations : int from 1 to 1000, default 20
        Most evaluations of the loss and its gradient in one line search; one is usually enough.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of its range.

    Notes
    -----
    Algorithms 7.4 (two loops), 3.5 and 3.6 (strong Wolfe conditions, c1 = 1e-4, c2 = 0.9) of Nocedal and Wright, 2006.
    An epoch is one iteration; its loss is that of the weights before the iteration. ``batch_size`` must be None and
    ``shuffle`` does nothing. ``stopped`` is "gradient" if the tolerance was reached, and "line_search" if no lower
    point was found, not even along the negative gradient: double precision is exhausted, or the loss is not
    differentiable there. In both cases ``losses[-1]`` is the loss of the returned weights.

    Examples
    --------
    >>> import backprop
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> net = backprop.Network([2, 4, 1], rng=1)
    >>> run = backprop.fast_train(net, X, y, optimizer=backprop.LBFGS())
    >>> (run.network.predict(X) > 0.5).ravel().tolist(), bool(run.losses[-1] < 1e-9), run.stopped
    ([False, True, True, False], True, 'gradient')
    """

    memory: int = 10
    tolerance: float = 1e-8
    l2: float = 0.0
    max_evaluations: int = 20

    def __post_init__(self) -> None:
        for name in ("memory", "max_evaluations"):
            object.__setattr__(self, name, arguments.integer(name, getattr(self, name), 1, 1000))
        check(self, tolerance="[0, inf)", l2="[0, inf)")

    def _plan(self) -> Plan:
        """The plan of N13, with the slots and scalars that definition/lbfgs.py describes."""
        settings = (float(self.memory), self.tolerance, self.l2, float(self.max_evaluations))
        scalars = (0.0, float(self.memory - 1), 0.0, *[0.0] * self.memory)
        return Plan("lbfgs", settings, (0.0,) * (2 * self.memory), scalars)

    def _could_leave(self, slots: FloatArray, scalars: FloatArray) -> bool:
        """Whether slots and scalars can be the method's state; the kernel uses two scalars as count and index."""
        if (len(slots), len(scalars)) != (2 * self.memory, 3 + self.memory):
            return False
        held, newest = scalars[:2].tolist()
        return held in range(self.memory + 1) and newest in range(self.memory)


@hinted_class
@dataclass(frozen=True)
class LevenbergMarquardt:
    """Levenberg-Marquardt: least squares to high accuracy, for small networks and small data.

    Each epoch solves a linear least squares problem for all parameters together, on all rows at once: ``batch_size``
    must be None, and the loss squared_error. Where other optimizers take thousands of epochs, it takes tens.

    Parameters
    ----------
    mu : float in [1e-20, mu_max], default 1e-3
        Initial damping: a large mu gives short steps along the gradient, a small one long Gauss-Newton steps.
    mu_decrease : float in (0, 1), default 0.1
        Factor of mu after a step that lowers the loss. mu never falls below 1e-20.
    mu_increase : float in [1.1, inf), default 10.0
        Factor of mu after a step that does not lower the loss and is undone.
    mu_max : float in (0, inf), default 1e10
        Largest mu that is tried: above it the run ends, and ``stopped`` is "damping".
    min_gradient : float in [0, inf), default 1e-7
        The run ends when the norm of the mean loss's gradient is at most this; ``stopped`` is "gradient".

    Raises
    ------
    TypeError, ValueError
        If a setting is no number, or out of its range.

    Notes
    -----
    Levenberg 1944, Marquardt 1963, and Hagan and Menhaj 1994 for networks; the names and numbers of the damping are
    those of MATLAB's trainlm. With the Jacobian J of the residuals e of n rows, the step is ``w - d`` with
    ``(J^T J + mu*n*I) d = J^T e``. The factor n lets the same mu suit few rows and many. The damping makes a singular
    ``J^T J`` regular, so there may be more parameters than residuals. With P parameters, the method needs memory for
    two matrices of P*P numbers; the time of an epoch grows with P**3, and with P*P for each row and output. The method
    is at its best below some hundred parameters.

    Examples
    --------
    >>> import backprop
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> net = backprop.Network([2, 2, 1], rng=0)
    >>> run = backprop.fast_train(net, X, y, optimizer=backprop.LevenbergMarquardt(), epochs=100)
    >>> run.stopped, run.epochs < 30, bool(run.network.loss(X, y) < 1e-12)
    ('gradient', True, True)
    """

    mu: float = 1e-3
    mu_decrease: float = 0.1
    mu_increase: float = 10.0
    mu_max: float = 1e10
    min_gradient: float = 1e-7

    def __post_init__(self) -> None:
        check(self, mu_decrease="(0, 1)", mu_increase="[1.1, inf)", mu_max="[1e-20, inf)", min_gradient="[0, inf)")
        check(self, mu=f"[1e-20, {self.mu_max!r}]")

    def _plan(self) -> Plan:
        """The plan of N14, whose one scalar is the damping mu."""
        settings = (self.mu_decrease, self.mu_increase, self.mu_max, self.min_gradient)
        return Plan("levenberg_marquardt", settings, (), (self.mu,))

    def _could_leave(self, slots: FloatArray, scalars: FloatArray) -> bool:
        """Whether slots and scalars can be the method's state; with mu <= 0 an epoch would never end."""
        bounds = f"[1e-20, {self.mu_max!r}]"
        return (len(slots), len(scalars)) == (0, 1) and arguments.within(scalars[0].item(), bounds)
