"""Power series in the correlations s and r: the functions V and U and their derivatives."""

import numpy as np

from inthelimit._checks import Array


def power_series(coefficients: Array, x: Array) -> Array:
    """Return Σ_k coefficients[k] x^k, of the shape of x, by Horner's rule."""
    value = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value *= x
        value += coefficient
    return value


def differentiated(coefficients: Array) -> Array:
    """Return the coefficients of the derivative of Σ_k coefficients[k] x^k, at least one."""
    slopes: Array = np.arange(1.0, coefficients.size) * coefficients[1:]
    return slopes if slopes.size else np.zeros(1)
