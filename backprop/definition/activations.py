"""Activations (N3): the value from the net input z; the derivative from the value a, or from z if a does not suffice.

No finite z gives a NaN: no factor that may overflow is multiplied by one that may be 0.0.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from .elementary import exp, expm1, log1p
from .values import Vector


def tanh(z: float) -> float:
    t = expm1(-2.0 * abs(z))
    return math.copysign(-t / (t + 2.0), z)


def silu_derivative(z: float) -> float:
    s = 1.0 / (1.0 + exp(-z))
    return s * (1.0 + z * (1.0 - s))


def gelu_tanh(z: float) -> float:
    return tanh(0.7978845608028654 * (z + 0.044715 * ((z * z) * z)))  # sqrt(2/pi)


def gelu_derivative(z: float) -> float:
    t = gelu_tanh(z)
    q = (0.5 * z) * (1.0 - t * t)  # 0.0 long before z*z overflows
    return 0.5 * (1.0 + t) + 0.7978845608028654 * (q + 0.134145 * ((q * z) * z))


class Activation(NamedTuple):
    value: Callable[[float], float]
    derivative: Callable[[float], float]
    of_z: bool = False  # whether the derivative is a function of z; else it is one of a


ACTIVATIONS = {
    "identity": Activation(lambda z: z, lambda a: 1.0),
    "logistic": Activation(lambda z: 1.0 / (1.0 + exp(-z)), lambda a: a * (1.0 - a)),
    "tanh": Activation(tanh, lambda a: 1.0 - a * a),
    "relu": Activation(lambda z: 0.0 if z <= 0.0 else z, lambda a: 0.0 if a <= 0.0 else 1.0),
    "leaky_relu": Activation(lambda z: 0.01 * z if z <= 0.0 else z, lambda a: 0.01 if a <= 0.0 else 1.0),
    "elu": Activation(lambda z: expm1(z) if z <= 0.0 else z, lambda a: a + 1.0 if a <= 0.0 else 1.0),
    "softplus": Activation(lambda z: (0.0 if z <= 0.0 else z) + log1p(exp(-abs(z))), lambda a: -expm1(-a)),
    "softsign": Activation(lambda z: z / (1.0 + abs(z)), lambda a: (1.0 - abs(a)) * (1.0 - abs(a))),
    "exponential": Activation(exp, lambda a: a),
    "silu": Activation(lambda z: z / (1.0 + exp(-z)), silu_derivative, of_z=True),
    "gelu": Activation(lambda z: (0.5 * z) * (1.0 + gelu_tanh(z)), gelu_derivative, of_z=True),
    "gaussian": Activation(lambda z: exp(-(z * z)), lambda z: -2.0 * (z * exp(-(z * z))), of_z=True),
}


def softmax_sum(z: Vector) -> tuple[float, Vector, float]:
    """The largest z, m; every exp(z[j] - m); and their sum in increasing j."""
    m = z[0]
    for z_j in z:
        if z_j > m:
            m = z_j
    e = [exp(z_j - m) for z_j in z]
    S = 0.0
    for e_j in e:
        S = S + e_j
    return m, e, S
