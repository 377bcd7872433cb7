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


def is_stochastic(gradient: Gradient) -> bool:
    """Return whether the gradient asks for the generator: two required positional parameters."""
    try:
        parameters = inspect.signature(gradient).parameters.values()
    except (TypeError, ValueError):  # callables written in C need not have a signature
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [p for p in parameters if p.kind in positional and p.default is p.empty]
    return len(required) >= 2


def shaped(
    gradient: Gradient, rng: np.random.Generator | None, *, clock: str = "step"
) -> Callable[[Array, float], Array]:
    """Return (x, step) ↦ the gradient at x as a float64 array of x's shape, finite or not.

    The array given to `gradient` is read-only: what the iteration still needs must not change.

    Raises
    ------
    ValueError
        At the call, naming the step, if the gradient has another shape or is not real; before, if
        `gradient` is not callable.
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
        return g.astype(np.float64, copy=False)

    return evaluate


def checked(
    gradient: Gradient, rng: np.random.Generator | None, *, clock: str = "step"
) -> Callable[[Array, float], Array]:
    """Return the same as `shaped`, which also raises ValueError if the gradient is not finite."""
    evaluate = shaped(gradient, rng, clock=clock)

    def evaluate_finite(x: Array, step: float) -> Array:
        g = evaluate(x, step)
        require_finite(g, f"{clock} {step:g}")
        return g

    return evaluate_finite


def require_finite(g: Array, when: str) -> None:
    """Raise ValueError unless the gradient g is finite."""
    if not np.isfinite(g).all():
        bad = tuple(int(i) for i in np.argwhere(~np.isfinite(g))[0])
        raise ValueError(
            f"gradient must return finite numbers, got {g[bad]} at index {bad} at {when}"
        )


def require_convergent(square: float, step: int) -> None:
    """Raise ConvergenceError if the squared norm of the iterates is no finite number."""
    if not np.isfinite(square):
        raise ConvergenceError(
            f"the iterates diverged: their squared norm overflows at step {step}. Take a larger L "
            f"(shorter steps); a theorem needs L at least the smoothness of f, and with "
            f"multiplicative noise the constants R2 and kappa_tilde of its law"
        )


def starting_point(name: str, x0: ArrayLike) -> Array:
    """Return a finite float64 copy of shape (d,) or (d, copies), d ≥ 1 and copies ≥ 1."""
    x0 = _checks.real_array(name, x0)
    if x0.ndim not in (1, 2) or x0.size == 0:
        raise ValueError(f"{name} must have shape (d,) or (d, copies), got {x0.shape}")
    return x0
