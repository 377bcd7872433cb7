"""Call a reader's gradient, exact or stochastic, and say at which step it went wrong."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import ConvergenceError, _checks
from inthelimit._checks import Array

# gradient(x), or gradient(x, rng) where it is stochastic.
Gradient = Callable[..., Any]

# No sensible run has iterates this large; their squares would soon overflow.
DIVERGED = 1e150


def is_stochastic(gradient: Gradient) -> bool:
    """Return whether the gradient asks for the generator: two required positional parameters."""
    try:
        parameters = inspect.signature(gradient).parameters.values()
    except (TypeError, ValueError):  # callables written in C need not have a signature
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [p for p in parameters if p.kind in positional and p.default is p.empty]
    return len(required) >= 2


def checked(
    gradient: Gradient, rng: np.random.Generator | None, *, clock: str = "step"
) -> Callable[[Array, float], Array]:
    """Return (x, step) ↦ the gradient at x as a finite float64 array of x's shape.

    The array given to `gradient` is read-only: what the iteration still needs must not change.

    Raises
    ------
    ValueError
        At the call, naming the step, if the gradient has another shape or is not finite; before,
        if `gradient` is not callable.
    """
    if not callable(gradient):
        raise ValueError(f"gradient must be callable, got {gradient!r}")
    stochastic = rng is not None and is_stochastic(gradient)

    def evaluate(x: Array, step: float) -> Array:
        x = x.view()
        x.flags.writeable = False
        g = np.asarray(gradient(x, rng) if stochastic else gradient(x))
        if g.shape != x.shape:
            raise ValueError(
                f"gradient must return the shape {x.shape} of x, got {g.shape} at {clock} {step:g}"
            )
        if g.dtype.kind not in "biuf":
            raise ValueError(
                f"gradient must return real numbers, got dtype {g.dtype} at {clock} {step:g}"
            )
        g = g.astype(np.float64, copy=False)
        if not is_finite(g):
            bad = tuple(int(i) for i in np.argwhere(~np.isfinite(g))[0])
            raise ValueError(
                f"gradient must return finite numbers, got {g[bad]} at index {bad} at {clock} "
                f"{step:g}, for x of largest entry {np.abs(x).max():.3g}"
            )
        return g

    return evaluate


def require_bounded(x: Array, step: int) -> None:
    """Raise ConvergenceError if x has diverged, or is the NaN that comes of it."""
    if not (-DIVERGED < x.min() and x.max() < DIVERGED):
        raise ConvergenceError(
            f"the iterates diverged: an entry is beyond {DIVERGED:.0e} at step {step}. Take a "
            f"larger L (shorter steps); a theorem needs L at least the smoothness of f, and with "
            f"multiplicative noise the constants R2 and kappa_tilde of its law"
        )


def is_finite(a: Array) -> bool:
    """Return whether every entry is finite; one pass where they are."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(a.sum())) or bool(np.isfinite(a).all())


def starting_point(name: str, x0: ArrayLike) -> Array:
    """Return a finite float64 copy of shape (d,) or (d, copies), d ≥ 1 and copies ≥ 1."""
    x0 = _checks.real_array(name, x0)
    if x0.ndim not in (1, 2) or x0.size == 0:
        raise ValueError(f"{name} must have shape (d,) or (d, copies), got {x0.shape}")
    return x0
