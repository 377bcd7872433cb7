"""Accelerated gossip, ring by ring, against loops over the rings in Python and in NumPy.

All do the same arithmetic in float64 and are exact.  The plain loop is the algorithm as published:
lists of floats, node-local clocks, one ``expm1`` for each end of the edge, local names, and nothing
else in the loop.  The NumPy loop mixes all nodes before every ring, in place.  In the rows "same
rings" the rings are drawn beforehand, outside the timing, and handed to both; "error" is then the
largest difference of the final x, relative to the largest x.  In the rows "with draws" both draw
their rings, ours by a NumPy generator inside the kernel, the loop by `random.expovariate` and
`random.random`, or by NumPy in one long array before it starts ("drawn in bulk").

Seconds are for a million rings, scaled from those that each was timed on.  Runs are interleaved;
the ratio is the median of the ratios of neighbours.  As a loop of 0.1 s leaves the processor in a
state from which compiled code takes some milliseconds to recover, ours replays the same rings
twenty times in a row each time it is timed.  One copy runs on one processor, several copies on all.
Compilation, done once and cached, is not timed; building the network and its constants neither.

The notes on a million nodes give the memory of the run beyond the network, where the system tells,
and the time that NumPy takes to read, in random order, what a ring must read: the ends of the edge
and the numbers of both.
"""

import math
import random
from collections.abc import Callable
from statistics import median
from time import perf_counter

import networkx as nx
import numpy as np
from scipy import sparse

import memory
from inthelimit.continuized.schedules import Schedule, constant_schedule
from inthelimit.gossip import (
    EdgeEvents,
    GossipRun,
    accelerated_randomized_gossip,
    accelerated_schedule,
    simulate_clocks,
)
from inthelimit.graphs import GossipNetwork

MILLION = 1_000_000


def run(quick: bool = False) -> list[dict[str, object]]:
    """Return one row for each case; `quick` leaves out repetitions and the large graphs."""
    repeats = 3 if quick else 9
    network = GossipNetwork(nx.grid_2d_graph(20, 20))
    schedule = accelerated_schedule(network)
    rows = [
        _same_rings(network, schedule, "plain Python loop", _plain_loop, repeats),
        _same_rings(network, schedule, "NumPy, all nodes mixed", _numpy_loop, repeats),
        _with_draws(network, schedule, "plain Python, random", _drawing_loop, 1, repeats),
        _with_draws(network, schedule, "plain Python, drawn in bulk", _bulk_loop, 1, repeats),
        _with_draws(network, schedule, "plain Python, drawn in bulk", _bulk_loop, 256, repeats),
    ]
    if not quick:
        rows.append(_large("ring of 10⁶ nodes", _ring(MILLION)))
        rows.append(_large("grid of 1000 × 1000 nodes", _grid(1000)))
    return rows


def _start(network: GossipNetwork) -> np.ndarray:
    return np.random.default_rng(1).normal(size=network.n_nodes)


def _same_rings(
    network: GossipNetwork,
    schedule: Schedule,
    name: str,
    loop: Callable[[GossipNetwork, Schedule, np.ndarray, EdgeEvents, float], np.ndarray],
    repeats: int,
) -> dict[str, object]:
    x0, horizon = _start(network), 1e5
    events = simulate_clocks(network, horizon=horizon, rng=np.random.default_rng(0))

    def ours() -> GossipRun:
        return accelerated_randomized_gossip(
            network,
            x0,
            horizon=horizon,
            events=events,
            times=[horizon],
            keep="errors",
            schedule=schedule,
        )

    same = ours().x[0, :, 0]
    other = loop(network, schedule, x0, events, horizon)
    return _row(
        f"grid 20 × 20, same rings, {name}",
        name,
        lambda: [ours() for _ in range(20)],
        20 * events.times.size,
        lambda: loop(network, schedule, x0, events, horizon),
        events.times.size,
        repeats,
        error=float(np.abs(same - other).max() / np.abs(other).max()),
        note="one processor, 10⁵ rings",
    )


def _with_draws(
    network: GossipNetwork,
    schedule: Schedule,
    name: str,
    loop: Callable[[GossipNetwork, Schedule, np.ndarray, float], int],
    n_copies: int,
    repeats: int,
) -> dict[str, object]:
    x0, horizon, peer_horizon = _start(network), 4.0 * MILLION / n_copies, 1e5
    rng = np.random.default_rng(0)

    def ours() -> GossipRun:
        return accelerated_randomized_gossip(
            network,
            x0,
            horizon=horizon,
            rng=rng,
            times=[horizon],
            keep="errors",
            schedule=schedule,
            n_copies=n_copies,
        )

    n_ours = int(ours().n_events.sum())
    n_peer = loop(network, schedule, x0, peer_horizon)
    copies = "one copy" if n_copies == 1 else f"{n_copies} copies"
    return _row(
        f"grid 20 × 20, with draws, {copies}, {name}",
        name,
        ours,
        n_ours,
        lambda: loop(network, schedule, x0, peer_horizon),
        n_peer,
        repeats,
        note="one processor" if n_copies == 1 else "all processors; the loop on one",
    )


def _row(
    case: str,
    peer_name: str,
    ours: Callable[[], object],
    n_ours: int,
    peer: Callable[[], object],
    n_peer: int,
    repeats: int,
    note: str,
    error: float | None = None,
) -> dict[str, object]:
    times = []
    for _ in range(repeats):
        start = perf_counter()
        ours()
        middle = perf_counter()
        peer()
        end = perf_counter()
        times.append(((middle - start) / n_ours * MILLION, (end - middle) / n_peer * MILLION))
    ratios = [b / a for a, b in times]
    ours_s = median(a for a, _ in times)
    return {
        "solver": "accelerated_randomized_gossip",
        "case": case,
        "ours_s": ours_s,
        "peer": peer_name,
        "peer_s": median(b for _, b in times),
        "ratio": median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "error": error,
        "note": f"{ours_s * 1000:.1f} ns a ring; {note}",
    }


def _large(name: str, weights: sparse.coo_array) -> dict[str, object]:
    """Time ten million rings, and the plain loop on a hundred thousand of the same network."""
    network, rng = GossipNetwork(weights), np.random.default_rng(0)
    schedule, x0, horizon = constant_schedule(1e-8, 1e-8, 0.5, 3.0), _start(network), 1e7

    def ours() -> int:
        run = accelerated_randomized_gossip(
            network, x0, horizon=horizon, rng=rng, times=[horizon], keep="errors", schedule=schedule
        )
        return int(run.n_events[0])

    # The kernel is compiled by now, so the first run is like the others but for fresh memory.
    memory.forget_peak()
    before = memory.megabytes("VmRSS")
    n_ours = ours()
    added = None if before is None else memory.megabytes("VmHWM") - before
    n_peer = _bulk_loop(network, schedule, x0, 1e5)
    peak = "" if added is None else f"{added:.0f} MB, "
    reading = _reading_time(network) * 1e9
    return _row(
        f"{name}, 10⁷ rings with draws",
        "plain Python, drawn in bulk",
        ours,
        n_ours,
        lambda: _bulk_loop(network, schedule, x0, 1e5),
        n_peer,
        3,
        note=f"{peak}random reads alone {reading:.0f} ns a ring; the loop on 10⁵ rings",
    )


def _reading_time(network: GossipNetwork) -> float:
    """Return the seconds a ring that NumPy needs to read edges and nodes in random order."""
    rng, count = np.random.default_rng(0), 4 * MILLION
    ends, numbers = network.edges.astype(np.int32), np.ones((network.n_nodes, 2))
    chosen = rng.integers(network.n_edges, size=count)
    times = []
    for _ in range(3):
        start = perf_counter()
        pairs = np.take(ends, chosen, axis=0)
        np.take(numbers, pairs[:, 0], axis=0)
        np.take(numbers, pairs[:, 1], axis=0)
        times.append(perf_counter() - start)
    return median(times) / count


# ---------------------------------------------------------------- the peers


def _constants(schedule: Schedule) -> tuple[float, float, float, float]:
    p = schedule.parameters(1.0)
    return float(p.eta), float(p.eta_prime), float(p.gamma), float(p.gamma_prime)


def _plain_loop(
    network: GossipNetwork,
    schedule: Schedule,
    x0: np.ndarray,
    events: EdgeEvents,
    horizon: float,
) -> np.ndarray:
    """Run node-local clocks in plain Python, with η = η'."""
    theta, _, gamma, gamma_prime = _constants(schedule)
    ends = network.edges[events.edges].tolist()
    times = events.times.tolist()
    x, z, last = x0.tolist(), x0.tolist(), [0.0] * x0.size
    rate, expm1 = -2.0 * theta, math.expm1
    for t, (v, w) in zip(times, ends, strict=True):
        moved = 0.5 * expm1(rate * (t - last[v])) * (x[v] - z[v])
        xv = x[v] + moved
        zv = z[v] - moved
        moved = 0.5 * expm1(rate * (t - last[w])) * (x[w] - z[w])
        xw = x[w] + moved
        zw = z[w] - moved
        g = xv - xw
        x[v] = xv - gamma * g
        x[w] = xw + gamma * g
        g *= gamma_prime
        z[v] = zv - g
        z[w] = zw + g
        last[v] = last[w] = t
    x, z = np.array(x), np.array(z)
    return x + 0.5 * np.expm1(rate * (horizon - np.array(last))) * (x - z)


def _numpy_loop(
    network: GossipNetwork,
    schedule: Schedule,
    x0: np.ndarray,
    events: EdgeEvents,
    horizon: float,
) -> np.ndarray:
    """Mix all nodes, then let one edge ring, with η = η'."""
    theta, _, gamma, gamma_prime = _constants(schedule)
    x, z, moved, now = x0.copy(), x0.copy(), np.empty_like(x0), 0.0
    for t, (v, w) in zip(events.times.tolist(), network.edges[events.edges].tolist(), strict=True):
        np.subtract(z, x, out=moved)
        moved *= -0.5 * math.expm1(-2.0 * theta * (t - now))
        x += moved
        z -= moved
        g = x[v] - x[w]
        x[v] -= gamma * g
        x[w] += gamma * g
        z[v] -= gamma_prime * g
        z[w] += gamma_prime * g
        now = t
    return x - 0.5 * math.expm1(-2.0 * theta * (horizon - now)) * (z - x)


def _bulk_loop(network: GossipNetwork, schedule: Schedule, x0: np.ndarray, horizon: float) -> int:
    events = simulate_clocks(network, horizon=horizon, rng=np.random.default_rng(0))
    _plain_loop(network, schedule, x0, events, horizon)
    return events.times.size


def _drawing_loop(
    network: GossipNetwork, schedule: Schedule, x0: np.ndarray, horizon: float
) -> int:
    """Do as `_plain_loop` does, drawing each ring when it is needed; all edges at one rate."""
    theta, _, gamma, gamma_prime = _constants(schedule)
    ends = network.edges.tolist()
    x, z, last = x0.tolist(), x0.tolist(), [0.0] * x0.size
    rate, expm1, n_edges = -2.0 * theta, math.expm1, len(ends)
    draw = random.Random(0)
    gap, uniform = draw.expovariate, draw.random
    t, count = gap(1.0), 0
    while t <= horizon:
        v, w = ends[int(uniform() * n_edges)]
        moved = 0.5 * expm1(rate * (t - last[v])) * (x[v] - z[v])
        xv = x[v] + moved
        zv = z[v] - moved
        moved = 0.5 * expm1(rate * (t - last[w])) * (x[w] - z[w])
        xw = x[w] + moved
        zw = z[w] - moved
        g = xv - xw
        x[v] = xv - gamma * g
        x[w] = xw + gamma * g
        g *= gamma_prime
        z[v] = zv - g
        z[w] = zw + g
        last[v] = last[w] = t
        t += gap(1.0)
        count += 1
    return count


# ---------------------------------------------------------------- the graphs


def _ring(n: int) -> sparse.coo_array:
    i = np.arange(n)
    return _symmetric(np.stack([i, (i + 1) % n]), n)


def _grid(side: int) -> sparse.coo_array:
    i = np.arange(side * side).reshape(side, side)
    across = np.stack([i[:, :-1].ravel(), i[:, 1:].ravel()])
    down = np.stack([i[:-1].ravel(), i[1:].ravel()])
    return _symmetric(np.concatenate([across, down], axis=1), side * side)


def _symmetric(ends: np.ndarray, n: int) -> sparse.coo_array:
    both = np.concatenate([ends, ends[::-1]], axis=1)
    return sparse.coo_array((np.ones(both.shape[1]), tuple(both)), shape=(n, n))


if __name__ == "__main__":
    columns = ("case", "ours_s", "peer_s", "ratio", "ratio_min", "ratio_max", "error", "note")
    print(" | ".join(columns))
    for row in run():
        print(" | ".join(f"{v:.3g}" if isinstance(v := row[c], float) else str(v) for c in columns))
