"""Asynchronous randomized gossip, simple and accelerated, simulated ring by ring.

The system.  Edge {v, w} rings at the times of a Poisson process of rate P_vw, all edges together
once per unit of time.  Node v owns two numbers.  Between rings it mixes them by itself,

    dx_v = η (z_v − x_v) dt,    dz_v = η' (x_v − z_v) dt,

and at a ring of {v, w}, with g = x_v − x_w,

    x_v −= γ g,  x_w += γ g,        z_v −= γ' g,  z_w += γ' g.

Accelerated gossip takes γ = ½, which replaces x_v and x_w by their mean, and

    η = η' = θ = √(μ_gossip/(2 max R)),    γ' = θ/μ_gossip.

Simple gossip is η = η' = 0, γ = γ' = ½, where z is x.  No one needs to know how many rings there
have been: a node that wakes mixes by the solution of its linear equation over the time it slept,

    η' x + η z stays,    x − z is multiplied by e^{−(η + η') × time slept}.

The limit of many copies is the moment equation of `inthelimit.gossip.moments`; the rates are those
of `inthelimit.gossip.rates`.

Source: arXiv:2106.07644, accelerated randomized gossip.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inthelimit import ConvergenceError, _checks, _compiled
from inthelimit._checks import Array
from inthelimit.continuized.schedules import Parameters, Schedule, least_squares_schedule
from inthelimit.gossip import _rings
from inthelimit.gossip.clocks import EdgeEvents
from inthelimit.graphs import GossipNetwork

# Copies are dealt to this many streams of random numbers, whatever the number of processors, so
# that it has no influence on the result.
STREAMS = 16
# Squares of larger values at the start might overflow without divergence.
LARGEST_START = 1e150

SIMPLE = Parameters(*(np.asarray(constant) for constant in (0.0, 0.0, 0.5, 0.5)))


@dataclass(frozen=True, slots=True, eq=False)
class GossipRun:
    """Independent runs of gossip on one network.

    Attributes
    ----------
    times : ndarray, shape (T,)
        The times at which the nodes were read.
    errors : ndarray, shape (T, n_copies)
        ‖x_t − consensus‖², where consensus is the mean of x_0 over each component.
    state_times : ndarray, shape (S,)
        The times at which x and z were kept: `times`, or the horizon alone.
    x, z : ndarray, shape (S, n, n_copies)
        The numbers of all nodes, mixed up to the time of reading.  For simple gossip z is x.
    n_events : ndarray of int64, shape (n_copies,)
        How many rings acted, up to the horizon.
    """

    times: Array
    errors: Array
    state_times: Array
    x: Array
    z: Array
    n_events: NDArray[np.int64]


def accelerated_schedule(network: GossipNetwork) -> Schedule:
    """Return the constants of accelerated gossip, η = η' = θ, γ = ½, γ' = θ/μ_gossip.

    Parameters
    ----------
    network : GossipNetwork

    Returns
    -------
    Schedule
        Least squares with R² = 2, κ̃ = max R and μ = μ_gossip: its `rate` is
        θ = √(μ_gossip/(2 max R)).

    Notes
    -----
    Computes the spectral gap and the effective resistances, once for each network.
    Source: arXiv:2106.07644, accelerated randomized gossip.

    Examples
    --------
    >>> import networkx as nx
    >>> round(accelerated_schedule(GossipNetwork(nx.path_graph(20))).rate, 6)
    0.00584
    """
    return least_squares_schedule(2.0, network.max_resistance, network.spectral_gap)


def randomized_gossip(
    network: GossipNetwork,
    x0: ArrayLike,
    *,
    horizon: float,
    rng: np.random.Generator | None = None,
    events: EdgeEvents | None = None,
    n_copies: int = 1,
    times: ArrayLike | None = None,
    keep: str = "states",
    loss: float = 0.0,
) -> GossipRun:
    """Simulate gossip in which the two ends of an edge that rings take their mean.

    Parameters
    ----------
    network : GossipNetwork
        The graph.
    x0 : array_like, shape (n,) or (n, n_copies)
        The values at the start.
    horizon : float
        The run covers [0, horizon]; ≥ 0.
    rng : numpy.random.Generator, optional
        Seeds the clocks.  Either this or `events` is needed.
    events : EdgeEvents, optional
        Rings to be replayed, for one copy and without loss; later ones than the horizon are left
        out.
    n_copies : int, default 1
        How many independent copies to run; may be left out if `x0` has two dimensions.
    times : array_like, shape (T,), optional
        Times of reading, strictly increasing, in [0, horizon]; 101 equally spaced ones by default.
    keep : {"states", "errors"}
        Whether to keep x at all `times`, T n n_copies numbers, or only at the horizon.
    loss : float, default 0
        The probability, in [0, 1), that a ring is lost.

    Returns
    -------
    GossipRun

    Raises
    ------
    ValueError
        If an argument is out of range or of the wrong shape.

    Notes
    -----
    O(1) for each ring, some 10 ns, and O(n) for each reading; memory O(n) for each processor beside
    what is kept.  E ‖x_t − consensus‖² ≤ ‖x_0 − consensus‖² e^{−μ_gossip t/2}.
    Source: arXiv:2106.07644.

    Examples
    --------
    >>> import networkx as nx
    >>> ring = GossipNetwork(nx.cycle_graph(16))
    >>> x0 = np.eye(16)[0]
    >>> run = randomized_gossip(ring, x0, horizon=400.0, rng=np.random.default_rng(1))
    >>> run.x.shape, bool(run.errors[-1, 0] < 0.2 * run.errors[0, 0])
    ((101, 16, 1), True)
    """
    return _gossip(network, x0, None, SIMPLE, horizon, rng, events, n_copies, times, keep, loss)


def accelerated_randomized_gossip(
    network: GossipNetwork,
    x0: ArrayLike,
    *,
    horizon: float,
    rng: np.random.Generator | None = None,
    events: EdgeEvents | None = None,
    n_copies: int = 1,
    times: ArrayLike | None = None,
    keep: str = "states",
    loss: float = 0.0,
    z0: ArrayLike | None = None,
    schedule: Schedule | None = None,
) -> GossipRun:
    """Simulate accelerated gossip, in which nodes also mix two numbers of their own.

    Parameters
    ----------
    network : GossipNetwork
        The graph.
    x0 : array_like, shape (n,) or (n, n_copies)
        The values at the start.
    horizon : float
        The run covers [0, horizon]; ≥ 0.
    rng : numpy.random.Generator, optional
        Seeds the clocks.  Either this or `events` is needed.
    events : EdgeEvents, optional
        Rings to be replayed, for one copy and without loss; later ones than the horizon are left
        out.
    n_copies : int, default 1
        How many independent copies to run; may be left out if `x0` has two dimensions.
    times : array_like, shape (T,), optional
        Times of reading, strictly increasing, in [0, horizon]; 101 equally spaced ones by default.
    keep : {"states", "errors"}
        Whether to keep x and z at all `times`, 2 T n n_copies numbers, or only at the horizon.
    loss : float, default 0
        The probability, in [0, 1), that a ring is lost; mixing goes on.
    z0 : array_like, shape (n,) or (n, n_copies), optional
        The second numbers at the start; x0 by default.  Where its mean over a component is not
        that of x0, x drifts away from the consensus of x0.
    schedule : Schedule, optional
        Any constant η, η', γ, γ' in place of `accelerated_schedule`; for large graphs it spares
        the computation of the spectral gap and of the resistances.

    Returns
    -------
    GossipRun

    Raises
    ------
    ValueError
        If an argument is out of range or of the wrong shape, or `schedule` is not constant.
    ConvergenceError
        If squared distances overflow: the constants make the run diverge.

    Notes
    -----
    O(1) for each ring, some 10 ns, and O(n) for each reading; memory O(n) for each processor beside
    what is kept.  With the constants of the theorem
    E ‖x_t − consensus‖² ≤ 2 ‖x_0 − consensus‖² e^{−θt} if z_0 = x_0.
    Source: arXiv:2106.07644, accelerated randomized gossip.

    Examples
    --------
    >>> import networkx as nx
    >>> line = GossipNetwork(nx.path_graph(30))
    >>> x0, rng = np.eye(30)[0], np.random.default_rng(0)
    >>> run = accelerated_randomized_gossip(line, x0, horizon=2000.0, rng=rng, n_copies=200)
    >>> simple = randomized_gossip(line, x0, horizon=2000.0, rng=rng, n_copies=200)
    >>> bool(run.errors[-1].mean() < 0.05 * simple.errors[-1].mean())
    True
    """
    if schedule is None:
        schedule = accelerated_schedule(network)
    if not schedule.is_constant:
        raise ValueError(
            f"schedule must have constant parameters, as nodes know no common time, got {schedule}"
        )
    constants = schedule.parameters(0.0)
    return _gossip(network, x0, z0, constants, horizon, rng, events, n_copies, times, keep, loss)


def _gossip(
    network: GossipNetwork,
    x0: ArrayLike,
    z0: ArrayLike | None,
    constants: Parameters,
    horizon: float,
    rng: np.random.Generator | None,
    events: EdgeEvents | None,
    n_copies: int,
    times: ArrayLike | None,
    keep: str,
    loss: float,
) -> GossipRun:
    """Check the arguments, run the kernel on deviations from consensus, and add that again.

    Where values are large, their deviations still decay to zero without loss of digits.
    """
    x0, n_copies = _copies(network, x0, n_copies)
    z0 = x0 if z0 is None else _second_numbers(z0, x0)
    horizon = _checks.number("horizon", horizon, at_least=0.0)
    loss = _checks.number("loss", loss, at_least=0.0, below=1.0)
    times = _checks.readings("times", times, horizon=horizon)
    _checks.choice("keep", keep, ("states", "errors"))
    reads = times if times[-1] == horizon else np.append(times, horizon)
    kept = np.arange(reads.size) < times.size if keep == "states" else reads == horizon
    consensus = network.consensus(x0)
    x = np.empty((n_copies, np.count_nonzero(kept), network.n_nodes))
    # The kernel writes the same numbers to both for simple gossip, where z is x.
    z = x if constants is SIMPLE else np.empty_like(x)
    errors = np.empty((n_copies, reads.size))
    n_events = np.zeros(n_copies, dtype=np.int64)
    task = _rings.Task(_rule(constants), x0 - consensus, z0 - consensus, reads, kept)
    results = _rings.Results(x, z, errors, n_events)
    if events is None:
        if rng is None:
            raise ValueError("rng must be a numpy.random.Generator unless events are given")
        _simulate(_edges(network, loss), task, results, _checks.generator("rng", rng))
    else:
        _check_events(network, events, rng, n_copies, loss)
        ends = network.edges.astype(np.int32)
        _check_finite(_rings.replay(ends, task, results, events.times, events.edges), reads)
    for values in (x,) if z is x else (x, z):
        values += consensus.T[:, None, :]
    x_out = np.moveaxis(x, 0, 2)
    z_out = x_out if z is x else np.moveaxis(z, 0, 2)
    return GossipRun(times, errors.T[: times.size], reads[kept], x_out, z_out, n_events)


def _simulate(
    edges: _rings.Edges, task: _rings.Task, results: _rings.Results, rng: np.random.Generator
) -> None:
    """Run the copies, dealt to streams of random numbers, on all processors."""
    n_copies = results.n_events.size
    bounds = np.linspace(0, n_copies, min(n_copies, STREAMS) + 1).astype(int)
    seeds = rng.integers(2**63, size=(bounds.size - 1, 4))

    def run(i: int) -> tuple[int, int]:
        block = slice(bounds[i], bounds[i + 1])
        # One column serves all copies.
        columns = block if task.x0.shape[1] == n_copies else slice(None)
        x0, z0 = (np.ascontiguousarray(start[:, columns]) for start in (task.x0, task.z0))
        part = task._replace(x0=x0, z0=z0)
        x, z, errors, n_events = results
        out = _rings.Results(x[block], z[block], errors[block], n_events[block])
        return _rings.simulate(edges, part, out, np.random.Generator(np.random.SFC64(seeds[i])))

    for i, (copy, read) in enumerate(_in_threads(run, range(bounds.size - 1))):
        _check_finite((copy + bounds[i] if copy >= 0 else copy, read), task.reads)


def _in_threads(run: Callable[[int], tuple[int, int]], blocks: range) -> Iterable[tuple[int, int]]:
    """Return the results of `run`; only compiled kernels let threads run side by side."""
    workers = min(os.cpu_count() or 1, len(blocks)) if _compiled.njit is not None else 1
    if workers == 1:
        return map(run, blocks)
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(run, blocks))


def _check_finite(failure: tuple[int, int], reads: Array) -> None:
    copy, read = failure
    if copy >= 0:
        raise ConvergenceError(
            f"squared distances to consensus overflow by t = {reads[read]:g} in copy {copy}: the "
            "constants make the run diverge; take a smaller gamma_prime, or an earlier horizon"
        )


def _rule(constants: Parameters) -> _rings.Rule:
    eta, gamma, gamma_prime = (
        float(c) for c in (constants.eta, constants.gamma, constants.gamma_prime)
    )
    speed = eta + float(constants.eta_prime)
    x_share = eta / speed if speed > 0.0 else 0.5
    z_share = 1.0 - x_share
    p_kick = z_share * gamma + x_share * gamma_prime
    return _rings.Rule(speed, x_share, z_share, p_kick, gamma - gamma_prime)


def _edges(network: GossipNetwork, loss: float) -> _rings.Edges:
    """Return what the kernel draws edges from; lost rings are never drawn, as thinning allows."""
    ends = network.edges.astype(np.int32)
    if np.ptp(network.probabilities) == 0.0:
        acceptance, alias = np.empty(0), np.empty(0, dtype=np.int32)
    else:
        acceptance, alias = _rings.alias_table(network.probabilities.copy())
    return _rings.Edges(ends, acceptance, alias, 1.0 - loss)


def _check_events(
    network: GossipNetwork,
    events: EdgeEvents,
    rng: np.random.Generator | None,
    n_copies: int,
    loss: float,
) -> None:
    if rng is not None:
        raise ValueError("rng must be None where events are given: they leave nothing to draw")
    if n_copies != 1:
        raise ValueError(f"n_copies must be 1 where events are given, got {n_copies}")
    if loss != 0.0:
        raise ValueError(
            f"loss must be 0 where events are given, got {loss}: give it to simulate_clocks"
        )
    if events.edges.size and events.edges.max() >= network.n_edges:
        raise ValueError(
            f"events must have edges in 0, …, {network.n_edges - 1}, got {events.edges.max()}"
        )


def _copies(network: GossipNetwork, x0: ArrayLike, n_copies: int) -> tuple[Array, int]:
    """Return x0 with one column, or one for each copy, and the number of copies."""
    n_copies = _checks.integer("n_copies", n_copies, at_least=1)
    x = _checks.real_array("x0", x0)
    if x.ndim not in (1, 2) or x.shape[0] != network.n_nodes or x.size == 0:
        n = network.n_nodes
        raise ValueError(f"x0 must have shape ({n},) or ({n}, n_copies), got {x.shape}")
    x = _checks.moderate("x0", x.reshape(network.n_nodes, -1), largest=LARGEST_START)
    if 1 not in (x.shape[1], n_copies) and x.shape[1] != n_copies:
        raise ValueError(f"n_copies must be 1 or the {x.shape[1]} columns of x0, got {n_copies}")
    return x, max(x.shape[1], n_copies)


def _second_numbers(z0: ArrayLike, x0: Array) -> Array:
    """Return z0 in the shape of x0, widening neither."""
    z = _checks.real_array("z0", z0)
    n, columns = x0.shape
    if z.shape not in ((n,), (n, columns)):
        raise ValueError(f"z0 must have the shape of x0 or ({n},), got {z.shape}")
    z = np.broadcast_to(z.reshape(n, -1), x0.shape).copy()
    return _checks.moderate("z0", z, largest=LARGEST_START)
