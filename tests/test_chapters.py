"""A chapter's claims hold whatever the seed, and fail when a solver is slightly wrong."""

import dataclasses
import importlib
import re
from unittest import mock

import matplotlib
import myst_nb
import numpy as np
import pytest

import book
import notebooks

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from inthelimit.teaching import explorer
from inthelimit.teaching.claims import ClaimFailed, Ledger
from inthelimit.two_timescale import hit_time_law

SEED = re.compile(r"default_rng\((\d+)\)")


def code_of(chapter: str) -> str:
    (path,) = [path for path in notebooks.chapters() if path.stem == chapter]
    return book.code_of(notebooks.read(path))


def first_frame(draw, *, start=None, alt=None, labels=None, play=None, **grid):
    """Draw one frame of an explorer: its numbers are not claims."""
    drawn = draw(
        **({name: values[len(values) // 2] for name, values in grid.items()} | (start or {}))
    )
    assert drawn


def run(chapter: str, seed: int | None = None) -> dict:
    """Run all code of a chapter in this process; return its names."""
    code = code_of(chapter)
    if seed is not None:
        assert len(SEED.findall(code)) == 1, "a chapter sets its seed once"
        code = SEED.sub(f"default_rng({seed})", code)
    names = {"__name__": "__main__", "display": lambda *things: None}
    with (
        mock.patch.object(explorer, "explore", first_frame),
        mock.patch.object(myst_nb, "glue"),
    ):
        try:
            exec(compile(code, f"{chapter}.ipynb", "exec"), names)
        finally:
            plt.close("all")
    return names


def later(path):
    """The same path, all of it happening five per cent later."""
    return dataclasses.replace(path, knots=1.05 * path.knots)


def drifting(flow):
    """The same trajectory, one part in ten too large."""
    return dataclasses.replace(flow, x=1.1 * flow.x, z=1.1 * flow.z, average=1.1 * flow.average)


def slow(run):
    """The same iterates, said to be five per cent later than they are."""
    return dataclasses.replace(run, times=1.05 * run.times)


def wide(moments):
    """The same means, with second moments of x one part in ten too large."""
    return dataclasses.replace(moments, xx=1.1 * moments.xx)


def loose(network):
    """The same graph, with its largest resistance one part in ten too small."""
    network.__dict__["max_resistance"] = 0.9 * network.max_resistance
    return network


def far(gossip):
    """The same gossip, with distances to consensus one part in ten too large."""
    return dataclasses.replace(gossip, errors=1.1 * gossip.errors)


def louder(values):
    """The same values, one part in twenty too large."""
    return 1.05 * values


def lazy(lattice):
    """The same lattice, whose nodes do nothing half of the time."""
    return lattice.lazy()


def loud(run):
    """The same run, with iterates one part in ten too large."""
    louder = type(run.iterates)({e: 1.1 * x for e, x in run.iterates.items()})
    return dataclasses.replace(run, iterates=louder)


def vague(evolution):
    """The same limit, with covariances a quarter too large."""
    larger = type(evolution.covariances)({e: 1.25 * k for e, k in evolution.covariances.items()})
    return dataclasses.replace(evolution, covariances=larger)


def lax(model):
    """The same lasso, expected to err by a fifth more."""
    return dataclasses.replace(model, limit_errors=1.2 * model.limit_errors)


def elsewhere(flow):
    """The same flow, whose neurons are all a thousandth to the right."""
    return dataclasses.replace(flow, positions=flow.positions + 1e-3)


def overdue(flow):
    """The same flow, whose neurons are said to arrive a fifth later than they do."""
    return dataclasses.replace(flow, hit_times=1.2 * flow.hit_times)


def costly(run):
    """The same run, with losses a fifth too large."""
    return dataclasses.replace(run, losses=1.2 * run.losses)


def unlucky(probability):
    """The same probability, one part in ten too small."""
    return dataclasses.replace(probability, exact=0.9 * probability.exact)


def crowded(law):
    """The law for six neurons more."""
    return hit_time_law(law.target, law.n_neurons + 6)


def stuck(run):
    """The same run, said to end where it began."""
    return dataclasses.replace(run, criteria=np.ones_like(run.criteria))


def grown(flow):
    """The same flow of neurons, one part in ten too large, and its risks and residuals with it."""
    larger = {
        name: 1.1 * getattr(flow, name)
        for name in ("a", "s", "residuals", "risks")
        if hasattr(flow, name)
    }
    return dataclasses.replace(flow, **larger)


def fast(state):
    """The same velocities of (a, s, r), a quarter too large."""
    return type(state)(*(1.25 * part for part in state))


def fast_sample(sample):
    """The same velocities from data, a quarter too large."""
    return dataclasses.replace(sample, velocity=fast(sample.velocity))


def riskier(run):
    """The same descent, said to have risks one part in ten larger."""
    return dataclasses.replace(run, risks=1.1 * run.risks)


def delayed(stage):
    """The same stage, its blow-up five per cent later."""
    return dataclasses.replace(stage, blow_up=1.05 * stage.blow_up)


def steep(exponents):
    """The same powers of ε, that of s one part in ten too large."""
    return dataclasses.replace(exponents, s=1.1 * exponents.s)


# Each line: a chapter, a function that it imports, and how its result is spoilt.
SPOILT = [
    ("01-incremental-learning", "inthelimit.diagonal.incremental_path", later),
    ("01-incremental-learning", "inthelimit.diagonal.diagonal_flow", drifting),
    ("01-incremental-learning", "inthelimit.lasso.lasso_path", later),
    ("02-lasso-path", "inthelimit.lasso.lasso_path", later),
    ("02-lasso-path", "inthelimit.diagonal.diagonal_limit", later),
    ("02-lasso-path", "inthelimit.diagonal.diagonal_flow", drifting),
    ("04-two-timescales", "inthelimit.two_timescale.gradient_flow", elsewhere),
    ("04-two-timescales", "inthelimit.two_timescale.reduced_flow", elsewhere),
    ("04-two-timescales", "inthelimit.two_timescale.limit_flow", overdue),
    ("04-two-timescales", "inthelimit.two_timescale.hit_time", louder),
    ("04-two-timescales", "inthelimit.two_timescale.limit_loss", louder),
    ("04-two-timescales", "inthelimit.two_timescale.optimal_outer_layer", lambda a: 1.1 * a),
    ("04-two-timescales", "inthelimit.two_timescale.gradient", lambda g: (g[0], 1.1 * g[1])),
    ("04-two-timescales", "inthelimit.two_timescale.loss", lambda value: 1.2 * value),
    ("04-two-timescales", "inthelimit.two_timescale.sgd", costly),
    ("04-two-timescales", "inthelimit.two_timescale.recovery_probability", unlucky),
    ("04-two-timescales", "inthelimit.two_timescale.hit_time_law", crowded),
    ("04-two-timescales", "inthelimit.two_timescale.scaled_hit_time_cdf", louder),
    ("04-two-timescales", "inthelimit.two_timescale.additive_descent", stuck),
    ("05-learning-timescales", "inthelimit.single_index.mean_field_flow", grown),
    ("05-learning-timescales", "inthelimit.single_index.population_flow", grown),
    ("05-learning-timescales", "inthelimit.single_index.population_velocity", fast),
    ("05-learning-timescales", "inthelimit.single_index.sampled_velocity", fast_sample),
    ("05-learning-timescales", "inthelimit.single_index.sgd", riskier),
    ("05-learning-timescales", "inthelimit.single_index.simplified_stage_flow", grown),
    ("05-learning-timescales", "inthelimit.single_index.simplified_blow_up", lambda t: 1.001 * t),
    ("05-learning-timescales", "inthelimit.single_index.constrained_stage_flow", delayed),
    ("05-learning-timescales", "inthelimit.single_index.canonical_stage_times", louder),
    ("05-learning-timescales", "inthelimit.single_index.canonical_exponents", steep),
    ("05-learning-timescales", "inthelimit.single_index.linear_stage_time", louder),
    ("05-learning-timescales", "inthelimit.single_index.linear_stage_curve", lambda M: 1.1 * M),
    ("05-learning-timescales", "inthelimit.single_index.linear_growth_slope", louder),
    ("05-learning-timescales", "inthelimit.single_index.stage_times", louder),
    ("05-learning-timescales", "inthelimit.single_index.stage_widths", louder),
    ("05-learning-timescales", "inthelimit.single_index.leading_share", lambda x: 1.1 * x),
    ("07-continuized-nesterov", "inthelimit.continuized.continuized_nesterov", slow),
    ("07-continuized-nesterov", "inthelimit.continuized.second_moments", wide),
    ("07-continuized-nesterov", "inthelimit.continuized.accelerated_flow", np.sin),
    ("07-continuized-nesterov", "inthelimit.lasso.lasso_path", later),
    ("08-noise-and-gossip", "inthelimit.continuized.second_moments", wide),
    ("08-noise-and-gossip", "inthelimit.graphs.GossipNetwork", loose),
    ("08-noise-and-gossip", "inthelimit.gossip.exact_second_moments", far),
    ("08-noise-and-gossip", "inthelimit.gossip.accelerated_randomized_gossip", far),
    ("09-gossip-waves", "inthelimit.graphs.square_lattice", lazy),
    ("09-gossip-waves", "inthelimit.gossip.gossip_kernel", louder),
    ("09-gossip-waves", "inthelimit.gossip.jacobi_gossip", louder),
    ("09-gossip-waves", "inthelimit.gossip.expected_error", louder),
    ("09-gossip-waves", "inthelimit.waves.epd_propagate", louder),
    ("09-gossip-waves", "inthelimit.waves.heat_propagate", louder),
    ("09-gossip-waves", "inthelimit.waves.kernel_energy_limit", louder),
    ("10-message-passing", "inthelimit.amp.run_amp", loud),
    ("10-message-passing", "inthelimit.amp.state_evolution", vague),
    ("10-message-passing", "inthelimit.amp.models.lasso", lax),
    ("10-message-passing", "inthelimit.amp.models.fixed_overlap", lambda q: 0.99 * q),
    ("10-message-passing", "inthelimit.lasso.lasso_path", later),
]


@pytest.mark.parametrize(("chapter", "target", "spoil"), SPOILT)
def test_a_slightly_wrong_solver_fails_a_claim(chapter, target, spoil):
    module, _, name = target.rpartition(".")
    right = getattr(importlib.import_module(module), name)

    def wrong(*arguments, **options):
        return spoil(right(*arguments, **options))

    with mock.patch(target, wrong), pytest.raises(ClaimFailed):
        run(chapter)


@pytest.mark.parametrize("path", notebooks.chapters(), ids=lambda path: path.stem)
def test_every_solver_module_of_a_chapter_is_spoilt_once(path):
    imported = {
        ".".join(name.split(".")[:2])
        for name in book.imported_modules(code_of(path.stem))
        if name.count(".") and not name.startswith("inthelimit.teaching")
    }
    spoilt = {target.rpartition(".")[0] for chapter, target, _ in SPOILT if chapter == path.stem}
    assert imported - {"inthelimit.quadratic"} <= spoilt


@pytest.mark.parametrize("path", notebooks.chapters(), ids=lambda path: path.stem)
def test_a_chapter_makes_at_least_five_claims(path):
    ledgers = {id(thing): thing for thing in run(path.stem).values() if isinstance(thing, Ledger)}
    claims = [claim for ledger in ledgers.values() for claim in ledger.claims]
    assert len(claims) >= 5
    assert all(claim.passed and np.isfinite(claim.measured).all() for claim in claims)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1020))
@pytest.mark.parametrize("path", notebooks.chapters(), ids=lambda path: path.stem)
def test_claims_do_not_depend_on_the_luck_of_the_seed(path, seed):
    run(path.stem, seed)  # each table raises if one of its claims fails
