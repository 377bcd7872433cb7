"""ReLU and erf: their Hermite coefficients and their Gaussian kernels, in closed form.

For X, Y jointly Gaussian of unit variances and correlation r, the kernel is

    U(r) = E σ(X) σ(Y) = Σ_k σ_k² r^k,        U′(r) = E σ′(X) σ′(Y).

ReLU has infinitely many coefficients, and near r = 1 their sum converges slowly, as K^(−1/2) for
U′: where neurons meet themselves (r_ii = 1) the closed form is needed.

Source: arXiv:2303.00055 (setting); the kernels are those of Cho and Saul (ReLU) and Williams (erf).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import erf

from inthelimit import _checks
from inthelimit._checks import Array


@dataclass(frozen=True, slots=True)
class Activation:
    """An activation σ, its derivative, and its Gaussian kernel.

    Attributes
    ----------
    name : str
        How results call it.
    value, derivative : callable
        σ and σ′, from an array to an array of its shape.
    kernel, kernel_derivative : callable
        U and U′ on [−1, 1], from an array to an array of its shape.
    """

    name: str
    value: Callable[[Array], Array]
    derivative: Callable[[Array], Array]
    kernel: Callable[[Array], Array]
    kernel_derivative: Callable[[Array], Array]


def relu_activation() -> Activation:
    """Return ReLU(x) = max(x, 0), with its arc-cosine kernel.

    Returns
    -------
    Activation
        U(r) = (√(1 − r²) + r (π − arccos r))/(2π) and U′(r) = (π − arccos r)/(2π).

    Examples
    --------
    >>> bool(np.isclose(relu_activation().kernel(np.array(1.0)), 0.5))
    True
    """
    return Activation("relu", _relu, _step, _relu_kernel, _relu_kernel_derivative)


def erf_activation(scale: float = 1.0) -> Activation:
    """Return erf(scale · x), with its arc-sine kernel.

    Parameters
    ----------
    scale : float, default 1
        Finite and nonzero.

    Returns
    -------
    Activation
        U(r) = (2/π) arcsin(c r), c = 2 scale²/(1 + 2 scale²).

    Raises
    ------
    ValueError
        If `scale` is zero or not finite.

    Examples
    --------
    >>> bool(np.isclose(erf_activation(2**-0.5).kernel(np.array(1.0)), 1 / 3))
    True
    """
    scale = _checks.number("scale", scale)
    if scale == 0.0:
        raise ValueError("scale must be nonzero, got 0.0")
    c = 2 * scale**2 / (1 + 2 * scale**2)

    def value(x: Array) -> Array:
        y: Array = erf(scale * x)
        return y

    def derivative(x: Array) -> Array:
        y: Array = 2 * scale / np.sqrt(np.pi) * np.exp(-((scale * x) ** 2))
        return y

    def kernel(r: Array) -> Array:
        u: Array = 2 / np.pi * np.arcsin(c * r)
        return u

    def kernel_derivative(r: Array) -> Array:
        u: Array = 2 / np.pi * c / np.sqrt((1 - c * r) * (1 + c * r))
        return u

    return Activation(f"erf({scale:g} x)", value, derivative, kernel, kernel_derivative)


def relu_coefficients(degree: int) -> Array:
    """Return the Hermite coefficients of ReLU(x) = max(x, 0), in closed form.

    Parameters
    ----------
    degree : int
        The highest degree, ≥ 0.

    Returns
    -------
    ndarray, shape (degree + 1,)
        1/√(2π), 1/2, then he_{k−2}(0)/√(2π k (k−1)): 0 for odd k ≥ 3.

    Raises
    ------
    ValueError
        If `degree` is not an integer ≥ 0.

    Notes
    -----
    O(degree).  Σ_{k > K} σ_k², out of E ReLU² = 1/2, decays as K^(−3/2).

    Examples
    --------
    >>> relu_coefficients(4).round(4)
    array([ 0.3989,  0.5   ,  0.2821,  0.    , -0.0814])
    """
    degree = _checks.integer("degree", degree, at_least=0)
    k = np.arange(2, degree + 1)
    tail = _at_zero(degree)[: k.size] / np.sqrt(2 * np.pi * k * (k - 1.0))
    coefficients: Array = np.concatenate([[1 / np.sqrt(2 * np.pi), 0.5], tail])[: degree + 1]
    return coefficients


def erf_coefficients(degree: int, scale: float = 1.0) -> Array:
    """Return the Hermite coefficients of erf(scale · x), in closed form.

    Parameters
    ----------
    degree : int
        The highest degree, ≥ 0.
    scale : float, default 1
        Finite and nonzero; 1/√2 gives 2Φ(x) − 1, Φ the Gaussian distribution function.

    Returns
    -------
    ndarray, shape (degree + 1,)
        With v = 1/(1 + 2 scale²): 2 scale √(v/(πk)) (1 − v)^((k−1)/2) he_{k−1}(0), which is 0 for
        even k.

    Raises
    ------
    ValueError
        If `degree` is not an integer ≥ 0 or `scale` is zero or not finite.

    Notes
    -----
    O(degree).

    Examples
    --------
    >>> erf_coefficients(3).round(4)
    array([ 0.    ,  0.6515,  0.    , -0.1773])
    """
    degree = _checks.integer("degree", degree, at_least=0)
    scale = _checks.number("scale", scale)
    if scale == 0.0:
        raise ValueError("scale must be nonzero, got 0.0")
    half_width = np.hypot(1.0, np.sqrt(2.0) * scale)  # 1/√v
    shrink = np.sqrt(2.0) * abs(scale) / half_width  # √(1 − v)
    k = np.arange(1, degree + 1)
    front = np.sqrt(2 / np.pi) * np.copysign(shrink, scale)
    odd: Array = front * shrink ** (k - 1.0) * _at_zero(degree)[: k.size] / np.sqrt(k)
    return np.concatenate([[0.0], odd])


def _at_zero(degree: int) -> Array:
    """Return he_0(0), …, he_degree(0)."""
    values = np.zeros(degree + 1)
    values[0] = 1.0
    for k in range(2, degree + 1, 2):
        values[k] = -np.sqrt((k - 1) / k) * values[k - 2]
    return values


def _relu(x: Array) -> Array:
    return np.maximum(x, 0.0)


def _step(x: Array) -> Array:
    return np.asarray(x > 0.0, dtype=np.float64)


def _relu_kernel(r: Array) -> Array:
    r = np.clip(r, -1.0, 1.0)
    u: Array = (np.sqrt((1 - r) * (1 + r)) + r * (np.pi - np.arccos(r))) / (2 * np.pi)
    return u


def _relu_kernel_derivative(r: Array) -> Array:
    u: Array = (np.pi - np.arccos(np.clip(r, -1.0, 1.0))) / (2 * np.pi)
    return u
