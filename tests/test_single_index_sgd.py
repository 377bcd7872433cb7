"""Stochastic gradient descent: each step on average, the run against the flow, what is refused."""

import numpy as np
import pytest

from inthelimit import ConvergenceError
from inthelimit.single_index import (
    SingleIndexProblem,
    _ascent,
    population_flow,
    population_risk,
    population_velocity,
    sampled_velocity,
    sgd,
)

STAIRS = SingleIndexProblem([1.0, 1.0, 0.5], [1.0, 1.0, 1.0])
RELU = SingleIndexProblem.of([1.0, -1.0, 2 / 3], "relu")
ERF = SingleIndexProblem.of([0.2, 1.0, 0.0, 0.5], "erf", scale=1.5)
problems = pytest.mark.parametrize("problem", [STAIRS, RELU, ERF], ids=["stairs", "relu", "erf"])


def neurons(m, d, seed):
    rng = np.random.default_rng(seed)
    u = rng.standard_normal((m, d))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    return rng.standard_normal(m), u


def overlaps(u):
    r = u @ u.T
    np.fill_diagonal(r, 1.0)
    return u[:, 0], r


# --- one step ------------------------------------------------------------------------------------


@problems
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_data_give_the_velocities_of_the_closed_flow(problem, noise):
    a, u = neurons(4, 6, 1)
    exact = population_velocity(problem, a, *overlaps(u), 0.3)
    sampled = sampled_velocity(
        problem, a, u, 0.3, n_samples=400_000, rng=np.random.default_rng(2), noise=noise
    )
    for name in ("a", "s", "r"):
        mean, truth = getattr(sampled.velocity, name), getattr(exact, name)
        error = getattr(sampled.standard_error, name)
        assert (np.abs(mean - truth) <= 4 * error + 1e-12).all()
        assert error.max() < 0.05 * (1 + np.abs(truth).max())
    np.testing.assert_allclose(sampled.velocity.r.diagonal(), 0.0, atol=1e-13)


def test_standard_errors_are_those_of_the_scatter():
    a, u = neurons(3, 4, 3)
    exact = population_velocity(STAIRS, a, *overlaps(u), 0.3)
    rng = np.random.default_rng(4)
    scores = []
    for _ in range(100):
        sampled = sampled_velocity(STAIRS, a, u, 0.3, n_samples=2000, rng=rng)
        scores.append((sampled.velocity.s - exact.s) / sampled.standard_error.s)
    # Student's t of 49 degrees of freedom has variance 49/47; 300 scores know it to about 10 %.
    assert np.mean(np.square(scores)) == pytest.approx(49 / 47, abs=0.4)


def test_noise_is_all_that_moves_a_network_that_fits():
    # f = y up to the noise, and a′ is its mean product with the feature x_1, over ε.
    line = SingleIndexProblem([0.0, 1.0], [0.0, 1.0])
    sampled = sampled_velocity(
        line, [1.0], [[1.0, 0.0]], 0.5, n_samples=10_000, rng=np.random.default_rng(5), noise=0.3
    )
    # A standard deviation from 50 batches is known to 10 %.
    assert sampled.standard_error.a[0] == pytest.approx(0.3 / 0.5 / 100, rel=0.4)
    assert abs(sampled.velocity.a[0]) < 4 * sampled.standard_error.a[0]
    quiet = sampled_velocity(
        line, [1.0], [[1.0, 0.0]], 0.5, n_samples=10_000, rng=np.random.default_rng(5)
    )
    assert abs(quiet.velocity.a[0]) < 1e-15


@problems
def test_a_step_follows_the_gradient_and_returns_to_the_sphere(problem):
    a, u = neurons(3, 5, 5)
    seed, h, epsilon = 6, 0.05, 0.2
    run = sgd(
        problem, d=5, m=3, batch=7, step=h, epsilon=epsilon, n_steps=1,
        rng=np.random.default_rng(seed), a0=a, directions=u,
    )  # fmt: skip

    x = np.random.default_rng(seed).standard_normal((7, 5))

    def series(c, z):
        norms = np.sqrt(np.cumprod([1.0, *range(1, c.size)]))
        return np.polynomial.hermite_e.hermeval(z, c / norms)

    def loss(a, u):
        z = x @ u.T
        value = problem.activation.value(z) if problem.activation else series(problem.sigma, z)
        return np.mean((series(problem.phi, x[:, 0]) - value @ a / 3) ** 2) / 2

    def slopes(function, point, e=1e-6):
        out = np.empty_like(point)
        for index in np.ndindex(point.shape):
            up, down = point.copy(), point.copy()
            up[index] += e
            down[index] -= e
            out[index] = (function(up) - function(down)) / (2 * e)
        return out

    force = -3 * slopes(lambda v: loss(a, v), u)
    force -= (force * u).sum(axis=1)[:, None] * u
    moved = u + h * force
    moved /= np.linalg.norm(moved, axis=1)[:, None]
    np.testing.assert_allclose(run.directions, moved, atol=1e-7)
    np.testing.assert_allclose(
        run.a[-1], a - 3 * h / epsilon * slopes(lambda b: loss(b, u), a), atol=1e-6
    )


@pytest.mark.parametrize("batch", [1, 7, 40, 41])
def test_slices_of_a_batch_change_nothing(batch, monkeypatch):
    a, u = neurons(9, 11, 7)

    def push(largest):
        monkeypatch.setattr(_ascent, "SINGLE_THREADED", largest)
        ascent = _ascent.BatchAscent(RELU, 11, 9, batch, 0.1)
        return ascent.sample(a, u, np.random.default_rng(8))

    for sliced, whole in zip(push(99 * 10), push(0), strict=True):
        np.testing.assert_allclose(sliced, whole, atol=1e-13)


@pytest.mark.parametrize(
    ("batch", "longest", "length"),
    [(400, 16, 16), (400, 19, 16), (400, 1000, 400), (400, 7, 400), (401, 100, 401), (5, 0, 5)],
)
def test_slices_divide_the_batch(batch, longest, length):
    assert _ascent._slice_length(batch, longest) == length


# --- a run ---------------------------------------------------------------------------------------


@problems
def test_runs_fluctuate_around_the_flow(problem):
    a, u = neurons(12, 20, 9)
    h, epsilon, n_runs = 1e-3, 0.1, 12
    runs = [
        sgd(
            problem, d=20, m=12, batch=100, step=h, epsilon=epsilon, n_steps=300,
            rng=np.random.default_rng(100 + k), a0=a, directions=u, record=100,
        )
        for k in range(n_runs)
    ]  # fmt: skip
    flow = population_flow(problem, *runs[0].start, epsilon=epsilon, times=runs[0].times)
    risks = np.array([run.risks for run in runs])
    error = risks.std(axis=0, ddof=1) / np.sqrt(n_runs)
    # The bias is of first order in h/ε, 0.01, and in the noise h d/B, 2e-4.
    gap = np.abs(risks.mean(axis=0) - flow.risks)
    assert (gap <= 4 * error + 2 * h / epsilon * flow.risks[0]).all()
    assert gap[0] < 1e-12
    assert flow.risks[-1] < 0.8 * flow.risks[0]


def test_longer_batches_bring_the_run_to_the_flow():
    a, u = neurons(8, 10, 10)
    gaps = []
    for batch, h in ((10, 4e-3), (100, 1e-3), (1000, 2.5e-4)):
        squares = []
        for k in range(4):
            run = sgd(
                STAIRS, d=10, m=8, batch=batch, step=h, epsilon=0.1, n_steps=round(0.2 / h),
                rng=np.random.default_rng(200 + k), a0=a, directions=u, record=10**6,
            )  # fmt: skip
            flow = population_flow(STAIRS, *run.start, epsilon=0.1, times=run.times)
            squares.append(np.mean((run.s[-1] - flow.s[-1]) ** 2))
        gaps.append(np.sqrt(np.mean(squares)))
    # The noise is of size √(h/B): a factor of √40 each time.
    assert gaps[1] < gaps[0] / 3
    assert gaps[2] < gaps[1] / 3
    assert gaps[2] < 0.01


def test_records_are_what_they_say():
    run = sgd(
        RELU, d=6, m=4, batch=10, step=0.01, epsilon=0.5, n_steps=25, record=10,
        rng=np.random.default_rng(11),
    )  # fmt: skip
    np.testing.assert_allclose(run.times, [0.0, 0.1, 0.2, 0.25])
    assert run.a.shape == run.s.shape == (4, 4)
    assert run.n_samples == 250
    np.testing.assert_allclose(np.linalg.norm(run.directions, axis=1), 1.0, atol=1e-14)
    np.testing.assert_array_equal(run.s[-1], run.directions[:, 0])
    assert run.risks[0] == population_risk(RELU, *run.start)
    final = population_risk(RELU, run.a[-1], *overlaps(run.directions))
    assert run.risks[-1] == pytest.approx(final, abs=1e-14)
    for array in (run.times, run.a, run.s, run.risks, run.directions, *run.start):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0.0


def test_recording_does_not_touch_the_run_and_a_seed_fixes_it():
    def end(record, seed):
        return sgd(
            RELU, d=6, m=4, batch=10, step=0.01, epsilon=0.5, n_steps=30, record=record,
            rng=np.random.default_rng(seed),
        ).a[-1]  # fmt: skip

    np.testing.assert_array_equal(end(7, 12), end(30, 12))
    assert (end(7, 12) != end(7, 13)).all()


def test_the_caller_keeps_the_start():
    a, u = neurons(4, 6, 14)
    kept = a.copy(), u.copy()
    sgd(
        RELU, d=6, m=4, batch=10, step=0.01, epsilon=0.5, n_steps=3,
        rng=np.random.default_rng(0), a0=a, directions=u,
    )  # fmt: skip
    np.testing.assert_array_equal(a, kept[0])
    np.testing.assert_array_equal(u, kept[1])


def test_random_starts_are_uniform_on_the_sphere_and_gaussian():
    run = sgd(
        RELU, d=7, m=1000, batch=1, step=1e-9, epsilon=0.5, n_steps=1,
        rng=np.random.default_rng(15),
    )  # fmt: skip
    # E s² = 1/7, E s⁴ = 3/63; a is standard.
    error = np.sqrt((3 / 63 - 1 / 49) / 1000)
    assert abs(np.mean(run.start.s**2) - 1 / 7) < 4 * error
    assert abs(np.mean(run.start.s)) < 4 / np.sqrt(7 * 1000)
    assert abs(np.mean(run.start.a**2) - 1) < 4 * np.sqrt(2 / 1000)


# --- what can go wrong ---------------------------------------------------------------------------

GOOD = {"d": 5, "m": 3, "batch": 10, "step": 1e-3, "epsilon": 0.1, "n_steps": 2}


def test_divergence_is_an_error_that_says_what_to_do():
    for n_steps in (500, 5000):  # by a large number, and by infinity
        with pytest.raises(
            ConvergenceError, match=r"sgd diverged before t .* below epsilon/U\(1\)"
        ):
            sgd(
                STAIRS,
                **(GOOD | {"step": 1.0, "n_steps": n_steps}),
                rng=np.random.default_rng(0),
                record=n_steps,
            )


def test_status_names_steps_and_noise_that_are_not_small():
    quiet = sgd(
        SingleIndexProblem([1.0], [1.0]),
        **(GOOD | {"m": 50, "batch": 1000}),
        rng=np.random.default_rng(0),
        a0=np.full(50, 0.1),
        directions=np.tile([0.0, 1.0, 0.0, 0.0, 0.0], (50, 1)),
    ).status
    assert quiet == "Took 2 steps of 1000 samples, up to t = 0.002."
    loud = sgd(STAIRS, **(GOOD | {"step": 0.05, "batch": 2}), rng=np.random.default_rng(0)).status
    assert "step · U(1)/ε = 1.5 is not ≪ 1" in loud
    assert "step · d/batch = 0.125 is not ≪ 1" in loud
    assert "needs them ≪ √ε" in loud
    assert "do not make up a continuum" in loud


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"d": 0}, r"d must be ≥ 1, got 0"),
        ({"m": 2.0}, r"m must be an integer, got 2.0"),
        ({"batch": 0}, r"batch must be ≥ 1"),
        ({"n_steps": 0}, r"n_steps must be ≥ 1"),
        ({"record": 0}, r"record must be ≥ 1"),
        ({"step": 0.0}, r"step must be > 0"),
        ({"epsilon": 1.5}, r"epsilon must be < 1"),
        ({"noise": -1.0}, r"noise must be ≥ 0"),
        ({"a0": [1e60, 0.0, 0.0]}, r"a0 must be within ±1e\+50"),
        ({"a0": [1.0]}, r"a0 must have shape \(3,\)"),
        ({"directions": np.eye(3)}, r"directions must have shape \(3, 5\), got \(3, 3\)"),
        ({"directions": 2 * np.eye(3, 5)}, r"directions must be unit vectors, got norm 2.0 in row"),
        ({"rng": 0}, r"rng must be a numpy.random.Generator, got 0"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        sgd(STAIRS, **({"rng": np.random.default_rng(0)} | GOOD | arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_samples": 10}, r"n_samples must be ≥ 1000, got 10"),
        ({"directions": np.eye(3)}, r"directions must have shape \(2, d\), got \(3, 3\)"),
        ({"epsilon": 0.0}, r"epsilon must be > 0"),
    ],
)
def test_wrong_samples_are_named(arguments, message):
    good = {"a": [1.0, 2.0], "directions": np.eye(2), "epsilon": 0.1, "n_samples": 1000}
    with pytest.raises(ValueError, match=message):
        sampled_velocity(STAIRS, **(good | arguments), rng=np.random.default_rng(0))
