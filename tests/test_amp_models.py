"""Ready-made models: algorithms on data, limits by other integrals, and runs at finite N."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from inthelimit import ConvergenceError
from inthelimit.amp import draw_matrices, run_amp, state_evolution
from inthelimit.amp.models import (
    Output,
    Prior,
    SignLayer,
    channels,
    committee_machine,
    coupled_limit,
    coupled_sensing,
    fixed_overlap,
    generalized_linear,
    generative_limit,
    generative_spike,
    lasso,
    lasso_graph,
    lasso_limit,
    lasso_limit_at,
    multilayer_network,
    phase_transition,
    priors,
    smallest_alpha,
    soft,
    spiked_wigner,
    symmetric,
    weak_recovery,
)
from inthelimit.amp.models.calibration import soft_risk
from inthelimit.amp.models.glm import limit_recursion
from inthelimit.amp.models.spiked import limit_overlaps
from inthelimit.lasso import lasso_path
from inthelimit.quadratic import Quadratic

MIXTURE = Prior([0.3, 0.5, 0.2], [-1.0, 0.0, 2.0], [0.2, 0.0, 1.5])
PRIORS = [
    priors.rademacher(),
    priors.sparse_signs(0.1),
    priors.gaussian(2.0),
    priors.bernoulli_gauss(0.25),
    MIXTURE,
]


def zeros(graph):
    """The start x0 = 0."""
    return {
        e: np.zeros((graph.dimensions[e.end], graph.columns[e])[: 1 + (graph.columns[e] > 1)])
        for e in graph.edges
    }


def in_standard_errors(samples, limit):
    """How far the mean of independent draws, along axis 0, is from the limit."""
    error = np.std(samples, axis=0, ddof=1) / np.sqrt(len(samples))
    return np.abs(np.mean(samples, axis=0) - limit) / error


def slope_of(function, x, h=1e-5):
    """A central difference, entry by entry."""
    return (function(x + h) - function(x - h)) / (2.0 * h)


class TestPriors:
    @pytest.mark.parametrize("prior", PRIORS)
    @pytest.mark.parametrize("precision", [0.0, 0.7, 50.0])
    def test_the_variance_is_the_derivative_of_the_mean(self, prior, precision):
        field = np.linspace(-30.0, 30.0, 101)
        variance = prior.posterior(precision, field)[1]
        slope = slope_of(lambda B: prior.posterior(precision, B)[0], field)
        np.testing.assert_allclose(variance, slope, rtol=1e-6, atol=1e-8)

    def test_posteriors_are_those_of_bayes_formula(self):
        lam, B = 1.3, 0.8
        mean, variance = MIXTURE.posterior(lam, B)
        moments = np.zeros(3)
        for w, mu, v in zip(MIXTURE.weights, MIXTURE.means, MIXTURE.variances, strict=True):
            for power in range(3):

                def f(x, power=power):
                    return x**power * np.exp(B * x - lam * x**2 / 2)

                moments[power] += w * (
                    f(mu)
                    if v == 0.0
                    else integrate.quad(
                        lambda x, f=f, mu=mu, v=v: f(x) * stats.norm.pdf(x, mu, np.sqrt(v)),
                        -12,
                        12,
                        epsabs=1e-13,
                    )[0]
                )
        assert mean == pytest.approx(moments[1] / moments[0], rel=1e-10)
        assert variance == pytest.approx(moments[2] / moments[0] - mean**2, rel=1e-9)

    @pytest.mark.parametrize("prior", PRIORS)
    def test_posteriors_stay_finite_at_extreme_parameters(self, prior):
        lam = 10.0 ** np.array([-300.0, 0.0, 8.0, 12.0])[:, None]
        mean, variance = prior.posterior(lam, lam * np.array([-50.0, 0.0, 3.0]))
        assert np.isfinite(mean).all()
        assert (variance >= 0.0).all()

    @pytest.mark.parametrize("precision", [1e-6, 0.3, 4.0, 1e3, 1e6])
    def test_the_least_error_of_a_gaussian_is_known(self, precision):
        expected = 2.0 / (1.0 + 2.0 * precision)
        assert priors.gaussian(2.0).mmse(precision) == pytest.approx(expected, rel=1e-10)

    @pytest.mark.parametrize("precision", [0.01, 1.0, 9.0])
    def test_the_least_error_of_signs_is_that_of_tanh(self, precision):
        expected = integrate.quad(
            lambda z: stats.norm.pdf(z) * (1 - np.tanh(precision + np.sqrt(precision) * z)),
            -12,
            12,
            epsabs=1e-13,
        )[0]
        assert priors.rademacher().mmse(precision) == pytest.approx(expected, rel=1e-8)

    @pytest.mark.parametrize("precision", [0.5, 30.0, 1e3, 1e5])
    def test_the_least_error_of_sparse_gaussians_resolves_the_noise(self, precision):
        prior = priors.bernoulli_gauss(0.25)
        noise = 1.0 / np.sqrt(precision)
        nodes = np.concatenate([noise * np.arange(0, 13), np.linspace(0.05, 14.0, 30)])
        nodes = np.unique(nodes[nodes <= 14.0])

        def f(r):
            density = 0.75 * stats.norm.pdf(r, 0, noise)
            density += 0.25 * stats.norm.pdf(r, 0, np.sqrt(1 + noise**2))
            return 2.0 * density * prior.posterior(precision, precision * r)[1]

        expected = sum(integrate.fixed_quad(f, a, b, n=30)[0] for a, b in pairwise(nodes))
        assert prior.mmse(precision) == pytest.approx(expected, rel=1e-9)

    @pytest.mark.parametrize("prior", PRIORS)
    def test_the_least_error_falls_from_the_variance_to_zero(self, prior):
        errors = prior.mmse(np.concatenate([[0.0], np.geomspace(1e-8, 1e8, 60)]))
        assert errors[0] == pytest.approx(prior.second_moment - prior.mean**2)
        assert (np.diff(errors) <= 0.0).all()
        assert errors[-1] < 1e-7

    @pytest.mark.parametrize("prior", PRIORS)
    def test_law_and_sample_have_the_moments_of_the_prior(self, prior):
        nodes, weights = prior.law()
        draws = prior.sample(20_000, rng=np.random.default_rng(0))
        for power, exact in ((1, prior.mean), (2, prior.second_moment)):
            assert weights @ nodes**power == pytest.approx(exact, abs=1e-12)
            deviation = 4.0 * np.std(draws**power) / np.sqrt(draws.size)
            assert abs(np.mean(draws**power) - exact) <= deviation

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (([0.5, 0.4], [0.0, 1.0], [0.0, 0.0]), "weights must be > 0 with sum 1"),
            (([1.0], [0.0], [-1.0]), "variances must be ≥ 0"),
            (([0.5, 0.5], [0.0], [0.0, 0.0]), "means must have shape"),
        ],
    )
    def test_what_is_no_prior_is_refused(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            Prior(*arguments)
        with pytest.raises(ValueError, match="density must be < 1"):
            priors.sparse_signs(1.0)


class TestSymmetric:
    def test_the_linear_loop_follows_chebyshevs_polynomials(self):
        n, gain = 60, 0.7
        graph = symmetric(n, lambda t, x: gain * x, derivative=lambda t, x: gain + 0 * x)
        rng = np.random.default_rng(0)
        A = draw_matrices(graph, rng=rng)
        start = rng.standard_normal(n)
        run = run_amp(graph, {("v", "v"): start}, 8, matrices=A)
        values, vectors = np.linalg.eigh(A["v", "v"])
        for t in range(9):
            # The mean derivative is the constant itself, so that the identity is exact.
            polynomial = np.polynomial.chebyshev.Chebyshev.basis(t + 1).deriv() / (t + 1)
            expected = gain**t * vectors @ (polynomial(values / 2.0) * (vectors.T @ start))
            np.testing.assert_allclose(run.iterates["v", "v"][t], expected, atol=1e-12)


class TestLassoLimit:
    @pytest.mark.parametrize("prior", PRIORS)
    @pytest.mark.parametrize(("tau", "theta"), [(0.4, 0.6), (1.5, 0.5), (0.05, 2.0)])
    def test_the_risk_of_soft_thresholding_is_its_integral(self, prior, tau, theta):
        # Over R = X + τZ: the posterior mean and variance of X are independent formulas.
        total = 0.0
        for w, mu, v in zip(prior.weights, prior.means, prior.variances, strict=True):
            s = np.sqrt(v + tau**2)

            def f(r, mu=mu, v=v, s=s):
                mean = mu + v / s**2 * (r - mu)
                return stats.norm.pdf(r, mu, s) * ((soft(r, theta) - mean) ** 2 + v * tau**2 / s**2)

            pieces = np.unique(
                np.clip(
                    [-theta, theta, *(mu + s * np.arange(-10, 11))], *(mu - 10 * s, mu + 10 * s)
                )
            )
            total += w * sum(integrate.fixed_quad(f, a, b, n=20)[0] for a, b in pairwise(pieces))
        assert soft_risk(prior, tau, theta) == pytest.approx(total, rel=1e-10)

    def test_the_fixed_point_of_the_sheet(self):
        limit = lasso_limit(priors.sparse_signs(0.1), rate=0.5, noise_level=0.2, alpha=1.5)
        assert limit.tau == pytest.approx(0.35233, abs=1e-5)
        assert limit.penalty == pytest.approx(0.30524, abs=1e-5)
        assert limit.error == pytest.approx(0.0421, abs=1e-4)
        assert limit.tau**2 == pytest.approx(0.04 + 2.0 * limit.error, rel=1e-12)

    @pytest.mark.parametrize("prior", PRIORS)
    @pytest.mark.parametrize("penalty", [1e-3, 0.3, 2.0])
    @pytest.mark.parametrize("rate", [0.3, 1.7])
    def test_calibration_gives_the_penalty_asked_for(self, prior, penalty, rate):
        limit = lasso_limit_at(prior, rate=rate, noise_level=0.5, penalty=penalty)
        assert limit.penalty == pytest.approx(penalty, rel=1e-8)
        assert limit.alpha > smallest_alpha(rate)
        assert 0.0 < limit.active < 1.0

    def test_below_the_smallest_alpha_noise_explodes(self):
        prior, alpha = priors.sparse_signs(0.1), smallest_alpha(0.4)
        assert 2 * ((1 + alpha**2) * stats.norm.sf(alpha) - alpha * stats.norm.pdf(alpha)) == (
            pytest.approx(0.4, rel=1e-12)
        )
        near = lasso_limit(prior, rate=0.4, noise_level=0.1, alpha=alpha * 1.0001)
        assert near.tau > 3.0
        assert near.penalty < 0.0
        with pytest.raises(ValueError, match="alpha must be >"):
            lasso_limit(prior, rate=0.4, noise_level=0.1, alpha=alpha)
        assert smallest_alpha(1.0) == 0.0

    def test_a_penalty_beyond_all_data_is_reported(self):
        with pytest.raises(ConvergenceError, match="take a smaller penalty"):
            lasso_limit_at(priors.sparse_signs(0.1), rate=0.5, noise_level=0.2, penalty=1e4)

    @pytest.mark.parametrize("rate", [0.01, 0.1, 0.5, 0.9])
    def test_the_transition_is_where_the_minimax_risk_is_the_rate(self, rate):
        def risk(alpha, density):
            null = 2 * ((1 + alpha**2) * stats.norm.sf(alpha) - alpha * stats.norm.pdf(alpha))
            return density * (1 + alpha**2) + (1 - density) * null

        density = rate * phase_transition(rate)
        best = optimize.minimize_scalar(risk, bounds=(0, 8), args=(density,), method="bounded")
        assert best.fun == pytest.approx(rate, rel=1e-8)

    def test_the_transition_runs_from_zero_to_one(self):
        curve = [phase_transition(rate) for rate in (1e-8, 1e-4, 0.1, 0.5, 0.999999, 1.0)]
        assert (np.diff(curve) > 0).all()
        assert curve[3] == pytest.approx(0.38569, abs=1e-5)
        assert curve[-1] == 1.0
        with pytest.raises(ValueError, match="rate must be ≤ 1"):
            phase_transition(1.5)

    @pytest.mark.parametrize(("factor", "recovers"), [(0.9, True), (1.1, False)])
    def test_noiseless_recovery_succeeds_below_the_transition_and_fails_above(
        self, factor, recovers
    ):
        density = 0.5 * factor * phase_transition(0.5)
        errors = [
            lasso(
                priors.sparse_signs(density),
                n=10,
                rate=0.5,
                noise_level=0.0,
                alpha=alpha,
                n_iterations=600,
                rng=np.random.default_rng(0),
            ).limit_errors[-1]
            for alpha in np.linspace(0.8, 1.4, 7)
        ]
        assert (min(errors) < 1e-12) == recovers


class TestLasso:
    def test_a_constant_threshold_solves_the_lasso(self):
        rng = np.random.default_rng(1)
        n, theta = 300, 0.6
        model = lasso(
            priors.sparse_signs(0.1),
            n=n,
            rate=0.6,
            noise_level=0.2,
            threshold=theta,
            n_iterations=150,
            rng=rng,
        )
        A = draw_matrices(model.graph, rng=rng)
        y = model.observations(A)
        graph = lasso_graph(y, n, [theta])
        run = run_amp(graph, zeros(graph), model.n_steps, matrices=A)
        x, matrix = run.messages["x", "y"][-1], A["x", "y"]
        penalty = theta * (1.0 - np.count_nonzero(x) / y.size)
        gradient = matrix.T @ (y - matrix @ x)
        active = x != 0.0
        assert np.abs(gradient[active] - penalty * np.sign(x[active])).max() < 1e-10
        assert np.abs(gradient[~active]).max() < penalty
        # Without the Onsager term the same threshold solves another lasso, λ = θ.
        assert np.abs(gradient[active] - theta * np.sign(x[active])).max() > 0.1
        path = lasso_path(Quadratic.from_data(matrix, y))
        np.testing.assert_allclose(x, path.at(1.0 / penalty), atol=1e-9)

    def test_it_agrees_with_scikit_learn(self):
        linear_model = pytest.importorskip("sklearn.linear_model")
        rng = np.random.default_rng(2)
        graph = lasso_graph(rng.standard_normal(120), 200, [1.2])
        A = draw_matrices(graph, rng=rng)
        x = run_amp(graph, zeros(graph), 201, matrices=A).messages["x", "y"][-1]
        penalty = 1.2 * (1.0 - np.count_nonzero(x) / 120)
        peer = linear_model.Lasso(alpha=penalty / 120, fit_intercept=False, tol=1e-14)
        peer.set_params(max_iter=100_000).fit(A["x", "y"], graph.side["y"].values)
        np.testing.assert_allclose(x, peer.coef_, atol=1e-6)
        assert np.count_nonzero(x) > 10

    @pytest.mark.parametrize("scales", ["limit", "run"])
    def test_runs_follow_the_limit_and_without_onsager_they_do_not(self, scales):
        errors, plain = [], []
        for seed in range(16):
            rng = np.random.default_rng(seed)
            model = lasso(
                priors.sparse_signs(0.1),
                n=1000,
                rate=0.5,
                noise_level=0.2,
                alpha=1.5,
                n_iterations=8,
                rng=rng,
                scales=scales,
            )
            A = draw_matrices(model.graph, rng=rng)
            run = run_amp(model.graph, model.x0, model.n_steps, matrices=A)
            errors.append(model.errors(run)[1:])
            broken = run_amp(model.graph, model.x0, model.n_steps, matrices=A, onsager=0.0)
            plain.append(model.errors(broken)[1:])
        assert (in_standard_errors(errors, model.limit_errors[1:]) < 4.0).all()
        # Draw by draw: without the term some runs are thrown far off.
        assert (np.array(plain)[:, -1] > 1.3 * np.array(errors)[:, -1]).all()

    def test_state_evolution_on_the_graph_is_the_scalar_recursion(self):
        model = lasso(
            priors.sparse_signs(0.1),
            n=400,
            rate=0.5,
            noise_level=0.2,
            alpha=1.5,
            n_iterations=5,
            rng=np.random.default_rng(0),
        )
        evolution = state_evolution(model.graph, model.x0, model.n_steps, joint=False)
        np.testing.assert_allclose(model.errors_of(evolution), model.limit_errors, rtol=1e-6)
        z = evolution.variances(("y", "x"))[1::2]
        np.testing.assert_allclose(z, model.taus[:-1] ** 2, rtol=1e-6)

    def test_the_run_on_data_is_the_planted_run(self):
        rng = np.random.default_rng(3)
        model = lasso(
            priors.bernoulli_gauss(0.1),
            n=300,
            rate=0.5,
            noise_level=0.1,
            alpha=1.4,
            n_iterations=6,
            rng=rng,
        )
        A = draw_matrices(model.graph, rng=rng)
        run = run_amp(model.graph, model.x0, model.n_steps, matrices=A)
        graph = lasso_graph(model.observations(A), 300, model.thresholds)
        data = run_amp(graph, zeros(graph), model.n_steps, matrices=A)
        np.testing.assert_allclose(model.estimates(run), data.messages["x", "y"][::2], atol=1e-11)

    def test_the_runs_own_scales_keep_exact_recovery_stable(self):
        for scales, stays in (("run", True), ("limit", False)):
            rng = np.random.default_rng(0)
            model = lasso(
                priors.sparse_signs(0.1),
                n=800,
                rate=0.5,
                noise_level=0.0,
                alpha=1.3,
                n_iterations=60,
                rng=rng,
                scales=scales,
            )
            run = run_amp(model.graph, model.x0, model.n_steps, rng=rng)
            assert (model.errors(run)[-1] < 1e-9) == stays

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({}, "alpha or threshold must be given"),
            ({"alpha": 1.0, "threshold": 1.0}, "one of them only"),
            ({"alpha": -1.0}, "alpha must be > 0"),
            ({"threshold": 1.0, "scales": "run"}, "scales must be 'limit'"),
            ({"alpha": 1.0, "scales": "wrong"}, "scales must be one of"),
            ({"alpha": 1.0, "rate": 0.0}, "rate must be > 0"),
        ],
    )
    def test_bad_input_is_named(self, options, message):
        given = {"n": 10, "rate": 0.5, "noise_level": 0.1, "n_iterations": 2} | options
        with pytest.raises(ValueError, match=message):
            lasso(priors.rademacher(), rng=np.random.default_rng(0), **given)
        with pytest.raises(ValueError, match="thresholds must be > 0"):
            lasso_graph([1.0], 2, [0.0])


CHANNELS = [channels.Linear(0.1), channels.Sign(), channels.Sign(0.5)]


class TestGeneralizedLinear:
    @pytest.mark.parametrize("channel", CHANNELS)
    def test_the_slope_is_the_derivative_of_the_score(self, channel):
        omega = np.linspace(-3.0, 3.0, 31)
        for y in (-1.0, 1.0):
            slope = slope_of(lambda w, y=y: channel.score(y, w, 0.4), omega)
            np.testing.assert_allclose(channel.slope(y, omega, 0.4), slope, rtol=1e-7, atol=1e-9)

    @pytest.mark.parametrize("variance", [1e-6, 0.3, 1.0])
    def test_the_information_of_signs_is_the_mean_square_of_the_score(self, variance):
        channel = channels.Sign(0.2)
        spread = np.sqrt(0.2 + variance)

        def f(w):
            likelihood = stats.norm.cdf(w / spread)
            density = stats.norm.pdf(w, 0, np.sqrt(0.7))
            return 2 * density * likelihood * channel.score(1.0, w, variance) ** 2

        expected = integrate.quad(f, -8, 8, epsabs=1e-12)[0]
        assert channel.information(0.7, variance) == pytest.approx(expected, rel=1e-8)

    def test_scores_of_signs_are_finite_however_wrong_the_guess(self):
        omega = np.array([-1e6, -50.0, 50.0, 1e6])
        channel = channels.Sign()
        score, slope = channel.score(1.0, omega, 1e-2), channel.slope(1.0, omega, 1e-2)
        assert np.isfinite(score).all()
        assert np.isfinite(slope).all()
        # A sign that contradicts ω tells z ≈ 0: g ≈ −ω/V.
        np.testing.assert_allclose(score[:2], -omega[:2] / 1e-2, rtol=1e-3)

    def test_the_gaussian_linear_limit_solves_its_quadratic_equation(self):
        delta, rate = 0.1, 2.0
        V = limit_recursion(priors.gaussian(), channels.Linear(delta), rate, 200)[1][-1]
        assert V * (1.0 + rate / (delta + V)) == pytest.approx(1.0, rel=1e-10)

    @pytest.mark.parametrize("channel", CHANNELS)
    def test_the_run_on_data_is_the_planted_run(self, channel):
        rng = np.random.default_rng(1)
        model = generalized_linear(
            priors.bernoulli_gauss(0.3), channel, n=200, rate=1.5, n_iterations=5, rng=rng
        )
        A = draw_matrices(model.graph, rng=rng)
        run = run_amp(model.graph, model.x0, model.n_steps, matrices=A)
        graph = model.on_data(model.observations(A))
        data = run_amp(graph, zeros(graph), model.n_steps, matrices=A)
        np.testing.assert_allclose(model.estimates(run), data.messages["x", "y"][::2], atol=1e-11)

    @pytest.mark.parametrize("channel", CHANNELS)
    def test_runs_follow_the_limit_and_bayes_symmetry(self, channel):
        errors, symmetry, plain = [], [], []
        for seed in range(12):
            rng = np.random.default_rng(seed)
            model = generalized_linear(
                priors.gaussian(), channel, n=600, rate=2.0, n_iterations=5, rng=rng
            )
            A = draw_matrices(model.graph, rng=rng)
            run = run_amp(model.graph, model.x0, model.n_steps, matrices=A)
            errors.append(model.errors(run)[1:])
            squares = (model.estimates(run) ** 2).mean(axis=1)
            symmetry.append((model.overlaps(run) - squares)[1:])
            broken = run_amp(model.graph, model.x0, model.n_steps, matrices=A, onsager=0.0)
            plain.append(model.errors(broken)[1:])
        assert (in_standard_errors(errors, model.limit_errors[1:]) < 4.0).all()
        assert (in_standard_errors(symmetry, 0.0) < 4.0).all()
        assert in_standard_errors(plain, model.limit_errors[1:])[-1] > 6.0

    @pytest.mark.parametrize(
        ("channel", "tolerance"), [(channels.Linear(0.1), 1e-9), (channels.Sign(), 4e-3)]
    )
    def test_state_evolution_on_the_graph_is_the_scalar_recursion(self, channel, tolerance):
        model = generalized_linear(
            priors.sparse_signs(0.4),
            channel,
            n=200,
            rate=1.5,
            n_iterations=4,
            rng=np.random.default_rng(0),
        )
        evolution = state_evolution(model.graph, model.x0, model.n_steps, joint=False, nodes=200)
        moments = model.moments_of(evolution)
        np.testing.assert_allclose(model.errors_of(evolution), model.limit_errors, atol=tolerance)
        np.testing.assert_allclose(moments[:, 0, 1], moments[:, 1, 1], atol=tolerance)


class TestSpikedWigner:
    @pytest.mark.parametrize(("strength", "overlap"), [(1.1, 0.1917), (1.5, 0.6923), (2.0, 0.9165)])
    def test_fixed_overlaps_of_signs_solve_their_equation(self, strength, overlap):
        q = fixed_overlap(priors.rademacher(), strength)
        assert q == pytest.approx(overlap, abs=5e-5)
        lam = strength**2 * q
        mean = integrate.quad(
            lambda z: stats.norm.pdf(z) * np.tanh(lam + np.sqrt(lam) * z), -12, 12
        )[0]
        assert mean == pytest.approx(q, abs=1e-8)

    def test_fixed_overlaps_vanish_up_to_strength_one(self):
        assert [fixed_overlap(priors.rademacher(), s) for s in (0.5, 0.9, 1.0)] == [0.0] * 3
        # Just beyond, q ≈ λ² − 1 for signs.
        assert fixed_overlap(priors.rademacher(), 1.001) == pytest.approx(0.002, rel=0.01)

    @pytest.mark.parametrize("strength", [1.2, 3.0])
    def test_fixed_overlaps_of_gaussians_are_one_minus_one_over_strength_squared(self, strength):
        expected = 1.0 - strength**-2
        assert fixed_overlap(priors.gaussian(), strength) == pytest.approx(expected, rel=1e-9)

    def test_iterations_from_full_knowledge_descend_to_the_fixed_overlap(self):
        for prior, strength in ((priors.rademacher(), 1.5), (priors.sparse_signs(0.05), 25.0)):
            q = limit_overlaps(prior, strength, 400, start_precision=np.inf)
            assert (np.diff(q) <= 1e-14).all()
            assert fixed_overlap(prior, strength) == pytest.approx(q[-1], rel=1e-7)

    @pytest.mark.parametrize(
        ("prior", "strength"), [(priors.rademacher(), 1.5), (priors.sparse_signs(0.5), 4.0)]
    )
    def test_runs_follow_the_limit_and_bayes_symmetry(self, prior, strength):
        overlaps, symmetry, plain = [], [], []
        # Seeds 0–19 draw a start 4.03 standard errors off by chance: 4000 draws show no bias.
        for seed in range(20, 40):
            rng = np.random.default_rng(seed)
            model = spiked_wigner(
                prior, n=800, strength=strength, n_steps=6, rng=rng, start_precision=0.3
            )
            A = draw_matrices(model.graph, rng=rng)
            run = run_amp(model.graph, model.x0, model.n_steps, matrices=A)
            overlaps.append(model.overlaps(run))
            symmetry.append(model.overlaps(run) - model.squares(run))
            broken = run_amp(model.graph, model.x0, model.n_steps, matrices=A, onsager=0.0)
            plain.append(model.squares(broken))
        assert (in_standard_errors(overlaps, model.limit_overlaps) < 4.0).all()
        assert (in_standard_errors(symmetry, 0.0) < 4.0).all()
        assert in_standard_errors(plain, model.limit_overlaps)[-1] > 6.0

    def test_the_run_on_data_is_the_planted_run(self):
        rng = np.random.default_rng(4)
        model = spiked_wigner(priors.bernoulli_gauss(0.5), n=150, strength=3.0, n_steps=6, rng=rng)
        A = draw_matrices(model.graph, rng=rng)
        run = run_amp(model.graph, model.x0, 6, matrices=A)
        Y = A["v", "v"] + 3.0 / 150 * np.outer(model.signal, model.signal)
        data = run_amp(model.on_data, model.x0, 6, matrices={("v", "v"): Y})
        np.testing.assert_allclose(run.messages["v", "v"], data.messages["v", "v"], atol=1e-11)

    def test_state_evolution_is_the_recursion_from_the_same_start(self):
        model = spiked_wigner(
            priors.rademacher(),
            n=40_000,
            strength=1.5,
            n_steps=5,
            rng=np.random.default_rng(0),
            start_precision=0.3,
        )
        evolution = state_evolution(model.graph, model.x0, 5, joint=False, nodes=400)
        # The start is drawn: its overlap is the limit's up to 1/√n, and so are the next ones.
        bound = 4.0 / np.sqrt(40_000)
        assert np.abs(model.overlaps_of(evolution) - model.limit_overlaps).max() < bound
        assert np.abs(model.squares_of(evolution) - model.limit_overlaps).max() < bound


class TestMultiLayer:
    def test_slopes_of_the_sign_layer_are_derivatives(self):
        layer, V = SignLayer(), 0.3
        omega, B = (g.ravel() for g in np.meshgrid(np.linspace(-3, 3, 13), [-2.0, 0.1, 5.0]))
        np.testing.assert_allclose(
            layer.spread(omega, V, B, 1.0),
            slope_of(lambda b: layer.estimate(omega, V, b, 1.0), B),
            rtol=1e-6,
            atol=1e-9,
        )
        np.testing.assert_allclose(
            layer.slope(omega, V, B, 1.0),
            slope_of(lambda w: layer.score(w, V, B, 1.0), omega),
            rtol=1e-6,
            atol=1e-8,
        )

    def test_a_layer_that_is_seen_exactly_is_the_sign_channel(self):
        omega = np.linspace(-4.0, 4.0, 21)
        for y in (-1.0, 1.0):
            known = SignLayer().score(omega, 0.5, 400.0 * y, 400.0)
            np.testing.assert_allclose(known, channels.Sign().score(y, omega, 0.5), rtol=1e-9)

    def test_averages_of_the_sign_layer_are_those_of_draws(self):
        rng = np.random.default_rng(0)
        layer, q, V, lam = SignLayer(), 0.6, 0.4, 1.3
        omega = np.sqrt(q) * rng.standard_normal(200_000)
        u = np.sign(omega + np.sqrt(V) * rng.standard_normal(omega.size))
        B = lam * u + np.sqrt(lam) * rng.standard_normal(omega.size)
        draws = [(u - layer.estimate(omega, V, B, lam)) ** 2, layer.score(omega, V, B, lam) ** 2]
        for sample, exact in zip(draws, layer.averages(q, V, lam), strict=True):
            assert abs(sample.mean() - exact) < 4.0 * sample.std() / np.sqrt(sample.size)

    def test_one_layer_is_a_generalized_linear_model(self):
        model = multilayer_network(
            priors.gaussian(),
            [],
            channels.Sign(0.1),
            widths=[40, 80],
            n_iterations=6,
            rng=np.random.default_rng(0),
        )
        expected = limit_recursion(priors.gaussian(), channels.Sign(0.1), 2.0, 6)[1]
        np.testing.assert_allclose(model.limit_errors[0], expected, rtol=1e-12)

    @pytest.mark.parametrize(
        ("prior", "widths", "signal_errors"),
        [
            (priors.gaussian(), [15, 30, 24], [0.634, 0.503, 0.417, 0.317, 0.279, 0.276]),
            (priors.rademacher(), [20, 30, 30], [0.651, 0.493, 0.377, 0.245, 0.183, 0.154]),
        ],
    )
    def test_the_limit_is_the_sheets_table(self, prior, widths, signal_errors):
        model = multilayer_network(
            prior,
            [SignLayer()],
            channels.Linear(0.1),
            widths=widths,
            n_iterations=12,
            rng=np.random.default_rng(0),
        )
        # The table was simulated.
        found = model.limit_errors[0][1:][[0, 1, 2, 4, 7, 11]]
        np.testing.assert_allclose(found, signal_errors, atol=3.5e-3)

    @pytest.mark.parametrize("depth", [1, 2])
    def test_runs_follow_the_limit_at_every_layer(self, depth):
        errors, plain = [[] for _ in range(depth + 1)], []
        for seed in range(10):
            rng = np.random.default_rng(seed)
            model = multilayer_network(
                priors.gaussian(),
                [SignLayer()] * depth,
                channels.Linear(0.1),
                widths=[400, 800, 700, 600][: depth + 2],
                n_iterations=4,
                rng=rng,
            )
            A = draw_matrices(model.graph, rng=rng)
            run = run_amp(model.graph, model.x0, model.n_steps, matrices=A)
            broken = run_amp(model.graph, model.x0, model.n_steps, matrices=A, onsager=0.0)
            for v in range(depth + 1):
                errors[v].append(model.errors(run, vertex=v)[1:])
            plain.append(model.errors(broken)[1:])
        for v in range(depth + 1):
            assert (in_standard_errors(errors[v], model.limit_errors[v][1:]) < 4.0).all()
        assert in_standard_errors(plain, model.limit_errors[0][1:])[-1] > 6.0

    def test_the_run_on_data_is_the_planted_run(self):
        rng = np.random.default_rng(5)
        model = multilayer_network(
            priors.rademacher(),
            [SignLayer(), SignLayer()],
            channels.Linear(0.1),
            widths=[80, 150, 140, 160],
            n_iterations=4,
            rng=rng,
        )
        A = draw_matrices(model.graph, rng=rng)
        run = run_amp(model.graph, model.x0, model.n_steps, matrices=A)
        graph = model.on_data(model.observations(A))
        data = run_amp(graph, zeros(graph), model.n_steps, matrices=A)
        for v in range(3):
            planted = run.messages[v, v + 1][v::2, :, 1]
            np.testing.assert_allclose(planted, data.messages[v, v + 1][v::2], atol=1e-10)

    def test_state_evolution_on_the_graph_is_the_scalar_recursion(self):
        model = multilayer_network(
            priors.gaussian(),
            [SignLayer()],
            channels.Linear(0.1),
            widths=[200, 400, 300],
            n_iterations=3,
            rng=np.random.default_rng(0),
        )
        evolution = state_evolution(
            model.graph,
            model.x0,
            model.n_steps,
            method="monte-carlo",
            rng=np.random.default_rng(1),
            samples=100_000,
            joint=False,
        )
        for v in range(2):
            moments = model.moments_of(evolution, vertex=v)[1:, 1, 1]
            steps = v + 2 * (2 - v) + 2 * np.arange(len(moments))
            error = evolution.standard_errors[v, v + 1][steps, 1, 1]
            top = 1.0
            expected = top - model.limit_errors[v][1:]
            assert (np.abs(moments - expected) < 4.0 * error).all()

    def test_widths_must_fit_the_layers(self):
        with pytest.raises(ValueError, match="widths must have length 3, for 1 layers inside"):
            multilayer_network(
                priors.gaussian(),
                [SignLayer()],
                channels.Linear(0.1),
                widths=[10, 10],
                n_iterations=2,
                rng=np.random.default_rng(0),
            )


class TestGenerativeSpike:
    @pytest.mark.parametrize("ratio", [0.2, 0.5, 2.0])
    def test_tiny_overlaps_grow_beyond_the_weak_recovery_threshold_only(self, ratio):
        critical = weak_recovery(ratio)
        for factor in (0.97, 1.03):
            q = generative_limit(
                priors.gaussian(),
                SignLayer(),
                ratio=ratio,
                strength=factor * critical,
                n_estimates=60,
                start_precision=1e-8,
            ).overlaps
            assert (q[-1] > q[-4]) == (factor > 1.0)
        assert weak_recovery(0.5) == pytest.approx(0.743, abs=5e-4)
        # A generator with many latent variables is no help.
        assert weak_recovery(1e9) == pytest.approx(1.0)

    def test_without_correlation_from_the_generator_it_is_the_plain_spike(self):
        limit = generative_limit(
            priors.gaussian(), SignLayer(), ratio=1e9, strength=1.5, n_estimates=8
        )
        plain = limit_overlaps(priors.rademacher(), 1.5, 8, start_precision=0.01)
        np.testing.assert_allclose(limit.overlaps, plain, atol=1e-6)

    def test_runs_follow_the_limit_and_bayes_symmetry(self):
        overlaps, symmetry = [], []
        for seed in range(10):
            rng = np.random.default_rng(seed)
            model = generative_spike(
                priors.gaussian(),
                SignLayer(),
                n=700,
                ratio=0.5,
                strength=1.3,
                n_estimates=6,
                rng=rng,
                start_precision=0.5,
            )
            run = run_amp(model.graph, model.x0, model.n_steps, rng=rng)
            overlaps.append(model.overlaps(run))
            symmetry.append(model.overlaps(run) - model.squares(run))
        assert (in_standard_errors(overlaps, model.limit.overlaps) < 4.0).all()
        assert (in_standard_errors(symmetry, 0.0) < 4.0).all()
        # The generator matters: without it overlaps would be those of a plain spike.
        plain = limit_overlaps(priors.rademacher(), 1.3, 6, start_precision=0.5)
        assert in_standard_errors(overlaps, plain)[-1] > 4.0

    def test_the_run_on_data_differs_by_fluctuations_of_the_overlap(self):
        gaps = []
        for n in (250, 2250):
            rng = np.random.default_rng(6)
            model = generative_spike(
                priors.gaussian(),
                SignLayer(),
                n=n,
                ratio=0.5,
                strength=1.3,
                n_estimates=4,
                rng=rng,
                start_precision=0.5,
            )
            A = draw_matrices(model.graph, rng=rng)
            v = model.signal(A)
            run = run_amp(model.graph, model.x0, model.n_steps, matrices=A)
            Y = A["v", "v"] + 1.3 / n * np.outer(v, v)
            graph = model.on_data(v + model.start_noise / np.sqrt(0.5))
            matrices = {("v", "v"): Y, ("z", "v"): A["z", "v"]}
            data = run_amp(graph, zeros(graph), model.n_steps, matrices=matrices)
            # The first estimate knows no spike yet, and is the same.
            np.testing.assert_allclose(
                run.messages["v", "v"][1], data.messages["v", "v"][1], atol=1e-12
            )
            difference = run.messages["v", "v"][2:] - data.messages["v", "v"][2:]
            gaps.append(np.sqrt((difference**2).mean()))
        assert gaps[1] < 4.0 / np.sqrt(2250)
        assert gaps[1] < 0.7 * gaps[0]

    def test_state_evolution_on_the_graph_is_the_scalar_recursion(self):
        model = generative_spike(
            priors.gaussian(),
            SignLayer(),
            n=400,
            ratio=0.5,
            strength=1.3,
            n_estimates=5,
            rng=np.random.default_rng(0),
            start_precision=0.5,
        )
        evolution = state_evolution(
            model.graph,
            model.x0,
            model.n_steps,
            method="monte-carlo",
            rng=np.random.default_rng(1),
            samples=100_000,
            joint=False,
        )
        latent = evolution.variances(("z", "v"))[2:, 1, 1]
        # The 400 draws of the start's noise are what the law of "v" is in this graph.
        np.testing.assert_allclose(
            model.squares_of(evolution), model.limit.overlaps, atol=4.0 / np.sqrt(400)
        )
        np.testing.assert_allclose(
            latent, 1.0 - model.limit.latent_errors[2:], atol=4.0 / np.sqrt(400)
        )


class TestCommittee:
    output = Output(np.array([1.0, 0.5]), 0.3)
    V = np.array([[0.3, -0.2], [-0.2, 0.7]])

    def test_the_score_is_the_derivative_of_the_likelihood(self):
        nodes, weights = np.polynomial.hermite_e.hermegauss(80)
        grid = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2)
        mass = np.multiply.outer(weights, weights).ravel() / (2.0 * np.pi)
        root = np.linalg.cholesky(self.V)

        def log_likelihood(omega):
            clean = np.tanh(omega + grid @ root.T) @ self.output.weights
            return np.log(mass @ stats.norm.pdf(0.7, clean, np.sqrt(0.3)))

        omega, h = np.array([0.4, -0.3]), 1e-4
        expected = [
            (log_likelihood(omega + step) - log_likelihood(omega - step)) / (2 * h)
            for step in h * np.eye(2)
        ]
        found = self.output.score(np.array([0.7]), omega[None], self.V)[0]
        np.testing.assert_allclose(found, expected, rtol=1e-5)

    def test_the_slope_is_the_derivative_of_the_score(self):
        rng = np.random.default_rng(0)
        omega = rng.standard_normal((50, 2)) * 0.5
        z = omega + rng.standard_normal((50, 2)) @ np.linalg.cholesky(self.V).T
        y = self.output.observe(z, rng.standard_normal(50))
        slope = np.stack(
            [
                slope_of(lambda s, b=b: self.output.score(y, omega + s * np.eye(2)[b], self.V), 0.0)
                for b in range(2)
            ],
            axis=2,
        )
        np.testing.assert_allclose(self.output.slope(y, omega, self.V), slope, atol=1e-4)

    def test_the_information_is_the_mean_square_and_minus_the_mean_slope(self):
        rng = np.random.default_rng(1)
        n = 10_000
        omega = rng.standard_normal((n, 2)) @ np.linalg.cholesky(np.eye(2) - self.V).T
        z = omega + rng.standard_normal((n, 2)) @ np.linalg.cholesky(self.V).T
        y = self.output.observe(z, rng.standard_normal(n))
        g, slope = self.output.score(y, omega, self.V), self.output.slope(y, omega, self.V)
        expected = self.output.information(self.V)
        for sample in (g[:, :, None] * g[:, None, :], -slope):
            error = sample.std(axis=0) / np.sqrt(n)
            assert (np.abs(sample.mean(axis=0) - expected) < 4.0 * error).all()

    def test_runs_follow_the_limit_matrix_by_matrix(self):
        errors, plain = [], []
        for seed in range(14):
            rng = np.random.default_rng(seed)
            model = committee_machine(self.output, n=200, rate=4.0, n_iterations=2, rng=rng)
            A = draw_matrices(model.graph, rng=rng)
            run = run_amp(model.graph, model.x0, model.n_steps, matrices=A)
            errors.append(model.errors(run)[1:])
            broken = run_amp(model.graph, model.x0, model.n_steps, matrices=A, onsager=0.0)
            plain.append(model.errors(broken)[1:])
        assert (in_standard_errors(errors, model.limit_errors[1:]) < 4.0).all()
        assert in_standard_errors(plain, model.limit_errors[1:])[-1, 0, 0] > 6.0
        # Onsager coefficients are full matrices.
        b = run.onsager["y", "x"][3][:, 2:]
        assert np.abs(b[0, 1]) > 0.1 * np.abs(b[0, 0])

    def test_the_run_on_data_is_the_planted_run(self):
        rng = np.random.default_rng(7)
        model = committee_machine(
            Output(np.array([1.0, 0.7, 0.4]), 1.0), n=40, rate=2.0, n_iterations=1, rng=rng
        )
        A = draw_matrices(model.graph, rng=rng)
        run = run_amp(model.graph, model.x0, model.n_steps, matrices=A)
        graph = model.on_data(model.observations(A))
        data = run_amp(graph, zeros(graph), model.n_steps, matrices=A)
        estimates = run.messages["x", "y"][::2, :, 3:]
        np.testing.assert_allclose(estimates, data.messages["x", "y"][::2], atol=1e-11)
        assert np.abs(estimates[-1]).max() > 0.1

    def test_state_evolution_on_the_graph_is_the_matrix_recursion(self):
        model = committee_machine(
            self.output, n=100, rate=3.0, n_iterations=2, rng=np.random.default_rng(0)
        )
        evolution = state_evolution(
            model.graph,
            model.x0,
            model.n_steps,
            method="monte-carlo",
            rng=np.random.default_rng(1),
            samples=30_000,
            joint=False,
        )
        moments = model.moments_of(evolution)[1:]
        error = evolution.standard_errors["x", "y"][2::2, 2:, 2:]
        gap = np.abs(moments[:, 2:, 2:] - (np.eye(2) - model.limit_errors[1:]))
        assert (gap < 4.0 * error).all()
        assert error.max() < 0.05

    def test_equal_units_stay_equal(self):
        model = committee_machine(
            Output(np.array([0.7, 0.7]), 0.3),
            n=20,
            rate=3.0,
            n_iterations=2,
            rng=np.random.default_rng(0),
        )
        learnt = np.eye(2) - model.limit_errors[-1]
        np.testing.assert_allclose(learnt, np.full((2, 2), learnt[0, 0]), atol=1e-6)

    def test_bad_input_is_named(self):
        with pytest.raises(ValueError, match="weights must have length 2 or 3"):
            Output(np.ones(4), 0.1)
        with pytest.raises(ValueError, match="noise_variance must be > 0"):
            Output(np.ones(2), 0.0)


class TestCoupled:
    def test_one_block_is_compressed_sensing(self):
        prior = priors.bernoulli_gauss(0.25)
        limit = coupled_limit(
            prior, n_blocks=1, window=1, block_rate=0.5, noise_variance=1e-3, n_iterations=30
        )
        expected = limit_recursion(prior, channels.Linear(1e-3), 0.5, 30)[1]
        np.testing.assert_allclose(limit.errors[:, 0], expected, rtol=1e-10)

    def test_coupling_succeeds_where_one_block_fails(self):
        prior = priors.bernoulli_gauss(0.25)
        alone = coupled_limit(
            prior, n_blocks=1, window=1, block_rate=0.4117, noise_variance=1e-5, n_iterations=500
        )
        chain = coupled_limit(
            prior, n_blocks=24, window=3, block_rate=0.38, noise_variance=1e-5, n_iterations=170
        )
        assert alone.errors[-1, 0] > 0.03
        assert chain.errors[-1].max() < 5e-5
        # The transition without coupling.
        beyond = coupled_limit(
            prior, n_blocks=1, window=1, block_rate=0.425, noise_variance=1e-5, n_iterations=500
        )
        assert beyond.errors[-1, 0] < 5e-5

    def test_the_wave_runs_inwards_from_both_ends_at_constant_speed(self):
        errors = coupled_limit(
            priors.bernoulli_gauss(0.25),
            n_blocks=40,
            window=3,
            block_rate=0.405,
            noise_variance=1e-5,
            n_iterations=150,
        ).errors
        np.testing.assert_allclose(errors, errors[:, ::-1], rtol=1e-6)
        arrival = (errors > 0.01).sum(axis=0)[:20]
        assert (np.diff(arrival) > 0).all()
        steps = np.diff(arrival)[4:16]
        assert steps.max() - steps.min() <= 1

    @pytest.mark.parametrize("scales", ["limit", "run"])
    def test_runs_follow_the_limit_block_by_block(self, scales):
        errors, plain = [], []
        for seed in range(30):
            rng = np.random.default_rng(seed)
            model = coupled_sensing(
                priors.bernoulli_gauss(0.2),
                n_blocks=4,
                window=2,
                block_size=250,
                block_rate=0.5,
                noise_variance=0.01,
                n_iterations=4,
                rng=rng,
                scales=scales,
            )
            A = draw_matrices(model.graph, rng=rng)
            run = run_amp(model.graph, model.x0, model.n_steps, matrices=A)
            broken = run_amp(model.graph, model.x0, model.n_steps, matrices=A, onsager=0.0)
            errors.append(model.errors(run)[1:])
            plain.append(model.errors(broken)[1:])
        assert (in_standard_errors(errors, model.limit.errors[1:]) < 4.0).all()
        assert in_standard_errors(plain, model.limit.errors[1:])[-1].max() > 6.0

    def test_state_evolution_on_the_graph_is_the_recursion(self):
        model = coupled_sensing(
            priors.sparse_signs(0.2),
            n_blocks=3,
            window=2,
            block_size=50,
            block_rate=0.6,
            noise_variance=0.1,
            n_iterations=3,
            rng=np.random.default_rng(0),
        )
        evolution = state_evolution(model.graph, model.x0, model.n_steps, joint=False, nodes=96)
        np.testing.assert_allclose(model.errors_of(evolution), model.limit.errors, rtol=1e-6)

    def test_the_run_on_data_is_the_planted_run(self):
        rng = np.random.default_rng(8)
        model = coupled_sensing(
            priors.bernoulli_gauss(0.2),
            n_blocks=4,
            window=3,
            block_size=60,
            block_rate=0.5,
            noise_variance=0.05,
            n_iterations=4,
            rng=rng,
        )
        A = draw_matrices(model.graph, rng=rng)
        run = run_amp(model.graph, model.x0, model.n_steps, matrices=A)
        graph = model.on_data(model.observations(A))
        data = run_amp(graph, zeros(graph), model.n_steps, matrices=A)
        for c in range(4):
            e = ("x", c), ("y", c + 2)
            planted = run.messages[e][::2] + model.signals[c]
            np.testing.assert_allclose(planted, data.messages[e][::2], atol=1e-11)

    def test_bad_input_is_named(self):
        given = {
            "n_blocks": 2,
            "window": 2,
            "block_size": 4,
            "block_rate": 0.5,
            "noise_variance": 0.1,
            "n_iterations": 2,
            "rng": np.random.default_rng(0),
        }
        for name, value in (("window", 0), ("noise_variance", 0.0), ("scales", "none")):
            with pytest.raises(ValueError, match=f"{name} must be"):
                coupled_sensing(priors.rademacher(), **(given | {name: value}))
