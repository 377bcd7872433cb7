"""Activations that are applied to data as they are, with their kernels in closed form.

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
