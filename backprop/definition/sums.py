"""Sums over the parameter vector (N11)."""

from .values import Vector


def dot(x: Vector, y: Vector) -> float:
    """The sum of x[k]*y[k], as eight partial sums: product k is added to partial sum k mod 8."""
    s = [0.0] * 8
    for k in range(len(x)):
        s[k % 8] = s[k % 8] + x[k] * y[k]
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
