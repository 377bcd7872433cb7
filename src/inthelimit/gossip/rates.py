"""How fast gossip reaches consensus: the bounds of the theorems, and the exact exponents.

The bounds.  With θ = μ_gossip/2 for simple and θ = √(μ_gossip/(2 max R)) for accelerated gossip,

    simple:       E ‖x_t − x̄‖² ≤ ‖x_0 − x̄‖² e^{−θt},
    accelerated:  E ‖x_t − x̄‖² ≤ (‖x_0 − x̄‖² + μ_gossip ‖z_0 − x̄‖²_{L_P⁺}) e^{−θt};

the second factor is at most 2‖x_0 − x̄‖² if z_0 = x_0.

The exact exponent is minus the spectral abscissa of the moment equation of
`inthelimit.gossip.moments`.  Let M be its drift without the kicks W, the rows (−η − γL, η) and
(η' − γ'L, −η') acting on (x, z); a kick of edge f at time 0 moves (x, z) by (γ, γ')⊗a_f, and is
felt at edge e at time s through a_eᵀ x.  The expected squares c_e = E (a_eᵀx)² then obey a renewal
equation with the nonnegative kernel

    K_ef(σ) = p_f ∫₀^∞ e^{−σs} (a_eᵀ [e^{Ms}((γ, γ')⊗a_f)]_x)² ds,

and σ is the abscissa exactly where the spectral radius of K(σ) is 1.  In the eigenbasis of L, M is
a 2 × 2 matrix for each eigenvalue, so K costs a few products of E × n matrices.

Source: arXiv:2106.07644, accelerated randomized gossip; the exact exponent is worked out here.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigh
from scipy.optimize import brentq
from scipy.sparse.linalg import LinearOperator, eigsh, spsolve

from inthelimit import ConvergenceError, _checks
from inthelimit._checks import Array
from inthelimit.continuized.schedules import Parameters, Schedule
from inthelimit.gossip.moments import METHODS, coefficients, deviations
from inthelimit.graphs import GossipNetwork

# What the kicks add to the abscissa is found to this part of itself,
RATE_TOLERANCE = 1e-12
# and left out below this part of the abscissa without them; they never add this many times as much.
NEGLIGIBLE_EXCESS = 1e-11
LARGEST_EXCESS = 1e15
# Below this many edges the kernel is formed; Lanczos needs some room.
SMALL_KERNEL = 16


def gossip_bound(
    network: GossipNetwork,
    x0: ArrayLike,
    times: ArrayLike,
    *,
    method: str = "accelerated",
    z0: ArrayLike | None = None,
) -> Array:
    """Return the theorem's bound on E ‖x_t − consensus‖².

    Parameters
    ----------
    network : GossipNetwork
        The graph; each component has its own consensus.
    x0 : array_like, shape (n,)
        The values at the start.
    times : array_like
        Times ≥ 0, of any shape.
    method : {"accelerated", "simple"}
        Which theorem.
    z0 : array_like, shape (n,), optional
        The second numbers of the nodes, of the same mean as `x0` on each component; `x0` by
        default.  Only if accelerated.

    Returns
    -------
    ndarray, shape of `times`

    Raises
    ------
    ValueError
        If an argument is out of range or of the wrong shape, or `z0` is given to simple gossip.

    Notes
    -----
    The norm of L_P⁺ costs one sparse solve; it is at most 1/μ_gossip times the Euclidean one, with
    equality on the slowest mode, so the bound lies between 1 and 2 times ‖x_0 − x̄‖² e^{−θt} when
    z_0 = x_0.  Source: arXiv:2106.07644, accelerated randomized gossip.

    Examples
    --------
    >>> import networkx as nx
    >>> ring = GossipNetwork(nx.cycle_graph(16))
    >>> gossip_bound(ring, [1.0] + 15 * [0.0], [0.0, 50.0]).round(4)
    array([1.1397, 0.4678])
    """
    _checks.choice("method", method, METHODS)
    x, z, apart = deviations(network, method, x0, z0)
    if apart > 0.0:
        raise ValueError(
            f"z0 must have the mean of x0 on each component, got means {apart:.3g} apart: mixing "
            f"would carry x away from the consensus of x0"
        )
    instants = _checks.real_array("times", times)
    if (instants < 0.0).any():
        raise ValueError(f"times must be ≥ 0, got {instants.min()}")
    if method == "simple":
        start, rate = x @ x, network.rate_simple
    else:
        start = x @ x + network.spectral_gap * _energy(network, z)
        rate = network.rate_accelerated
    bound: Array = start * np.exp(-rate * instants)
    return bound


def exact_rate(
    network: GossipNetwork,
    *,
    method: str = "accelerated",
    schedule: Schedule | None = None,
    loss: float = 0.0,
) -> float:
    """Return the exponential rate at which E ‖x_t − consensus‖² decays, exactly.

    Parameters
    ----------
    network : GossipNetwork
        The graph; with several components, the slowest counts.
    method : {"accelerated", "simple"}
        Accelerated gossip, or plain averaging of the two ends of an edge.
    schedule : Schedule, optional
        Any constant η, η', γ, γ' in place of those of the theorem; only if accelerated.
    loss : float, default 0
        The probability, in [0, 1), that a ring is lost; mixing goes on.

    Returns
    -------
    float
        Minus the spectral abscissa of the moment equation off consensus, negative where gossip
        diverges in mean square.  If η = 0, x never hears of z, and the rate is that of E xxᵀ alone.

    Raises
    ------
    ValueError
        If an argument is out of range, or `schedule` is given to simple gossip.
    ConvergenceError
        If no abscissa was bracketed: the constants of `schedule` differ by too many orders.

    Notes
    -----
    The largest eigenvalue of a symmetric E × E kernel, by Lanczos, at some ten values of σ:
    O(E n²) for each product and O(n²) small solves for each σ; less than a second up to about 200
    nodes.  The bounds of the theorem say rate ≥ θ.
    Source: arXiv:2106.07644, accelerated randomized gossip.

    Examples
    --------
    On a complete graph both methods are the same, and the bound is attained.

    >>> import networkx as nx
    >>> network = GossipNetwork(nx.complete_graph(10))
    >>> [round(exact_rate(network, method=m) * 9, 9) for m in ("accelerated", "simple")]
    [1.0, 1.0]
    """
    p = coefficients(network, method, schedule)
    kept = 1.0 - _checks.number("loss", loss, at_least=0.0, below=1.0)
    values, vectors = eigh(network.laplacian.toarray())
    modes = kept * values[network.n_components :]
    v, w = network.edges.T
    differences = (vectors[v] - vectors[w])[:, network.n_components :]
    root_rates = np.sqrt(kept * network.probabilities)

    def radius(sigma: float) -> float:
        return _spectral_radius(differences, root_rates, _responses(p, modes, sigma))

    floor = _abscissa_without_kicks(p, modes)
    scale = max(abs(floor), float(p.gamma * modes.min()))
    return -floor - _excess(lambda above: radius(floor + above), scale)


def _energy(network: GossipNetwork, z: Array) -> float:
    """Return zᵀL_P⁺z for z without consensus part, from L_P with a node per component grounded."""
    kept = np.ones(network.n_nodes, dtype=np.bool_)
    kept[np.unique(network.component_of, return_index=True)[1]] = False
    potential = spsolve(network.laplacian[kept][:, kept].tocsc(), z[kept])
    return float(z[kept] @ potential)


def _excess(radius: Callable[[float], float], scale: float) -> float:
    """Return where the decreasing function `radius` of (0, ∞) is 1, or 0 if that is negligible.

    It is infinite at 0 unless the kicks never excite the slowest mode, whose decay is then the
    answer.  Near the root the leading eigenvalue stands apart and Lanczos is fast; far above it
    does not: so the search starts close to 0, and goes by factors.
    """
    low = high = 1e-3 * scale
    if radius(low) > 1.0:
        while radius(high := 8.0 * high) > 1.0:
            low = high
            if high > LARGEST_EXCESS * scale:
                raise ConvergenceError(
                    f"no rate above {-high:.3g} was found: the constants of the schedule differ "
                    f"by too many orders of magnitude"
                )
    else:
        while radius(low := low / 8.0) <= 1.0:
            high = low
            if low < NEGLIGIBLE_EXCESS * scale:
                return 0.0
    logarithm = brentq(
        lambda log_above: np.log(radius(np.exp(log_above))),
        np.log(low),
        np.log(high),
        xtol=RATE_TOLERANCE,
    )
    return float(np.exp(logarithm))


def _spectral_radius(differences: Array, root_rates: Array, responses: Array) -> float:
    """Return the largest eigenvalue of K, which √p makes symmetric."""

    def multiply(c: Array) -> Array:
        between_modes = responses * (
            differences.T @ ((root_rates * c.ravel())[:, None] * differences)
        )
        felt = np.einsum("ei,ei->e", differences @ between_modes, differences)
        product: Array = root_rates * felt
        return product

    size = root_rates.size
    if size < SMALL_KERNEL:
        return float(np.linalg.eigvalsh(np.stack([multiply(e) for e in np.eye(size)]))[-1])
    operator = LinearOperator((size, size), multiply, dtype=np.float64)
    # Positive, as the leading eigenvector is, and without the symmetries of a graph.
    start = 1.0 + 0.1 * np.sin(np.arange(1.0, size + 1.0) ** 2)
    return float(eigsh(operator, k=1, which="LA", v0=start, return_eigenvectors=False)[0])


def _abscissa_without_kicks(p: Parameters, modes: Array) -> float:
    """Return twice the spectral abscissa of M: the exponent of moments that are never kicked."""
    if p.eta == 0.0:
        return float(-2.0 * p.gamma * modes.min())
    return float(2.0 * np.linalg.eigvals(_mode_matrices(p, modes)).real.max())


def _responses(p: Parameters, modes: Array, sigma: float) -> Array:
    """Return ∫ e^{−σs} φ_i φ_j ds, with φ_i(s) the first entry of e^{M_i s}(γ, γ').

    The integral of e^{N_i s} g gᵀ e^{N_jᵀ s}, N = M − σ/2, solves N_i G + G N_jᵀ + g gᵀ = 0.
    """
    if p.eta == 0.0:
        decay = p.gamma * modes
        scalar: Array = p.gamma**2 / (sigma + decay[:, None] + decay)
        return scalar
    N = _mode_matrices(p, modes) - sigma / 2.0 * np.eye(2)
    g = np.array([p.gamma, p.gamma_prime], dtype=np.float64)
    i, j = np.triu_indices(modes.size)
    one = np.eye(2)
    left = np.einsum("kab,cd->kacbd", N[i], one)
    right = np.einsum("ab,kcd->kacbd", one, N[j])
    G = np.linalg.solve((left + right).reshape(-1, 4, 4), -np.outer(g, g).reshape(4, 1))
    responses = np.empty((modes.size, modes.size))
    responses[i, j] = responses[j, i] = G[:, 0, 0]
    return responses


def _mode_matrices(p: Parameters, modes: Array) -> Array:
    """Return M on each eigenvector of L, of shape (n, 2, 2)."""
    M = np.empty((modes.size, 2, 2))
    M[:, 0, 0], M[:, 0, 1] = -p.eta - p.gamma * modes, p.eta
    M[:, 1, 0], M[:, 1, 1] = p.eta_prime - p.gamma_prime * modes, -p.eta_prime
    return M
