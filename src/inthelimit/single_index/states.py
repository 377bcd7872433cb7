"""States (a, s, r) of the finite system, m neurons in d dimensions, and random ones to start at.

With u* and the u_i on the unit sphere of R^d, s_i = ⟨u_i, u*⟩ and r_ij = ⟨u_i, u_j⟩ are the entries
of a positive semidefinite matrix of rank at most d, with unit diagonal.  Where the u_i are uniform,
they are of size d^(−1/2): the dimension enters the population flow in no other way.
Source: arXiv:2303.00055 (setting).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.single_index._laws import checked_law

# Overlaps computed with an error of rtol are those of unit vectors up to about that.
GRAM_TOLERANCE = 1e-3
SYMMETRY_TOLERANCE = 1e-9
UNIT_TOLERANCE = 1e-9
# Beyond it the risk overflows.
LARGEST = 1e50


class PopulationState(NamedTuple):
    """The second layer and the overlaps of m neurons (or their velocities): it unpacks as a, s, r.

    Attributes
    ----------
    a : ndarray, shape (m,)
        The second layer.
    s : ndarray, shape (m,)
        The overlaps ⟨u_i, u*⟩ with the target's direction.
    r : ndarray, shape (m, m)
        The overlaps ⟨u_i, u_j⟩ of the neurons.
    """

    a: Array
    s: Array
    r: Array


def population_start(
    m: int,
    d: float,
    *,
    atoms: ArrayLike,
    weights: ArrayLike | None = None,
    second_layer: str = "quantiles",
    rng: np.random.Generator,
) -> PopulationState:
    """Return a random start: u_i uniform on the sphere of R^d, a_i of a discrete law P_A.

    Parameters
    ----------
    m : int
        The number of neurons, ≥ 1.
    d : int or inf
        The dimension, ≥ 1.  With inf, s = 0 and r is the identity.
    atoms : array_like, shape (N,)
        The atoms of P_A.
    weights : array_like, shape (N,), optional
        Their probabilities, > 0; equal by default.
    second_layer : {"quantiles", "independent"}
        a_i the (i − ½)/m-quantile of P_A, or drawn independently.
    rng : numpy.random.Generator
        The source of randomness.

    Returns
    -------
    PopulationState

    Raises
    ------
    ValueError
        If an argument is out of range or the weights do not sum to one.

    Notes
    -----
    O(m³) whatever d is: m + 1 Gaussian vectors in a frame that one of them after the other spans
    have independent normal entries and χ-distributed diagonal (Bartlett).
    Source: arXiv:2303.00055, setting.

    Examples
    --------
    >>> a, s, r = population_start(4, 1e6, atoms=[-1.0, 1.0], rng=np.random.default_rng(0))
    >>> a
    array([-1., -1.,  1.,  1.])
    >>> bool(np.abs(s).max() < 1e-2)
    True
    """
    m = _checks.integer("m", m, at_least=1)
    atoms, weights = checked_law(atoms, weights)
    _checks.choice("second_layer", second_layer, ("quantiles", "independent"))
    rng = _checks.generator("rng", rng)
    if d != np.inf:
        d = _checks.number("d", d, at_least=1)
        if d != np.floor(d):
            raise ValueError(f"d must be an integer or inf, got {d}")
    if second_layer == "quantiles":
        order = np.argsort(atoms)
        levels = (np.arange(m) + 0.5) / m
        cumulative = np.cumsum(weights[order])[:-1]
        a = atoms[order][np.searchsorted(cumulative, levels)]
    else:
        a = rng.choice(atoms, size=m, p=weights / weights.sum())
    if d == np.inf:
        return PopulationState(a, np.zeros(m), np.eye(m))
    overlaps = _random_overlaps(m + 1, d, rng)
    return PopulationState(a, overlaps[0, 1:].copy(), overlaps[1:, 1:].copy())


def _random_overlaps(n: int, d: float, rng: np.random.Generator) -> Array:
    """Return the overlaps of n independent uniform points of the sphere of R^d, shape (n, n)."""
    frame = int(min(n, d))
    vectors = np.tril(rng.standard_normal((n, frame)), -1)
    diagonal = np.arange(frame)
    vectors[diagonal, diagonal] = np.sqrt(rng.chisquare(d - diagonal))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    overlaps: Array = vectors @ vectors.T
    np.fill_diagonal(overlaps, 1.0)
    return overlaps


def checked_state(a: ArrayLike, s: ArrayLike, r: ArrayLike) -> PopulationState:
    """Return fresh copies of a, s and r, if s and r are overlaps of unit vectors."""
    a = _checks.moderate("a", _checks.vector("a", a), largest=LARGEST)
    m = a.size
    s = _checks.vector("s", s, length=m)
    r = _checks.matrix("r", r)
    if r.shape != (m, m):
        raise ValueError(f"r must have shape ({m}, {m}), got {r.shape}")
    if np.abs(r.diagonal() - 1.0).max() > SYMMETRY_TOLERANCE:
        i = int(np.abs(r.diagonal() - 1.0).argmax())
        raise ValueError(f"r must have ones on its diagonal, got r[{i}, {i}] = {r[i, i]}")
    if np.abs(r - r.T).max() > SYMMETRY_TOLERANCE:
        i, j = (int(k) for k in np.unravel_index(np.abs(r - r.T).argmax(), r.shape))
        raise ValueError(f"r must be symmetric, got r[{i}, {j}] = {r[i, j]} and {r[j, i]}")
    r = (r + r.T) / 2
    np.fill_diagonal(r, 1.0)
    smallest = float(np.linalg.eigvalsh(np.block([[np.ones((1, 1)), s[None]], [s[:, None], r]]))[0])
    if smallest < -GRAM_TOLERANCE:
        raise ValueError(
            f"s and r must be overlaps of unit vectors with one another and with u*, but "
            f"their matrix has the eigenvalue {smallest:.3g} < 0"
        )
    return PopulationState(a, s, r)


def unit_vectors(directions: ArrayLike, m: int, d: int | None) -> Array:
    """Return a fresh copy of m unit vectors, in dimension d if that is given."""
    u = _checks.matrix("directions", directions)
    if u.shape != (m, u.shape[1] if d is None else d):
        raise ValueError(f"directions must have shape ({m}, {d or 'd'}), got {u.shape}")
    norms = np.linalg.norm(u, axis=1)
    if np.abs(norms - 1.0).max() > UNIT_TOLERANCE:
        i = int(np.abs(norms - 1.0).argmax())
        raise ValueError(f"directions must be unit vectors, got norm {norms[i]} in row {i}")
    return u
