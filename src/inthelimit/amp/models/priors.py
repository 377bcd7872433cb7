"""Priors of signals: mixtures of Gaussians and atoms, whose posteriors are formulas.

For X ~ Σ_c w_c N(μ_c, σ_c²), σ_c ≥ 0, seen through a likelihood exp(B X − Λ X²/2) (an observation
B/Λ = X + noise of variance 1/Λ, or nothing at Λ = B = 0), the posterior is a mixture again:

    means (μ_c + σ_c² B)/(1 + σ_c² Λ),   variances σ_c²/(1 + σ_c² Λ),
    log-weights  log w_c − ½ log(1 + σ_c² Λ) + (2 μ_c B + σ_c² B² − μ_c² Λ)/(2 (1 + σ_c² Λ)).

Nothing is divided by σ_c or Λ, so that atoms and the absence of data need no case of their own.
Source: Bayes' formula; the priors of the examples of arXiv:2109.11905 and of its literature.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import roots_hermitenorm

from inthelimit import _checks
from inthelimit._checks import Array

# Weights are probabilities up to the rounding of their sum.
WEIGHT_TOLERANCE = 1e-9
# Nodes of the mean squared error for each component; 1e-7 of it for the priors below.
ERROR_NODES = 1024
# A Gaussian is cut at so many standard deviations: probability 1e-23.
CUT = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """The law Σ_c w_c N(μ_c, σ_c²) of the entries of a signal; σ_c = 0 makes an atom.

    Parameters
    ----------
    weights : array_like, shape (k,)
        The w_c > 0, of sum 1.
    means : array_like, shape (k,)
    variances : array_like, shape (k,)
        The σ_c² ≥ 0.

    Raises
    ------
    ValueError
        If shapes differ, or a weight or variance is out of range.

    Notes
    -----
    Source: Bayes' formula for a mixture of Gaussians.

    Examples
    --------
    >>> prior = rademacher()
    >>> mean, variance = prior.posterior(1.0, [0.0, 0.5])  # tanh and 1 − tanh²
    >>> mean.round(3), variance.round(3)
    (array([0.   , 0.462]), array([1.   , 0.786]))
    """

    weights: Array
    means: Array
    variances: Array

    def __post_init__(self) -> None:
        weights = _checks.vector("weights", self.weights)
        if weights.min() <= 0.0 or abs(weights.sum() - 1.0) > WEIGHT_TOLERANCE:
            raise ValueError(
                f"weights must be > 0 with sum 1, got minimum {weights.min():.6g} "
                f"and sum {weights.sum():.6g}"
            )
        means = _checks.vector("means", self.means, length=weights.size)
        variances = _checks.vector("variances", self.variances, length=weights.size)
        if variances.min() < 0.0:
            raise ValueError(f"variances must be ≥ 0, got {variances.min():.6g}")
        for name, value in (("weights", weights), ("means", means), ("variances", variances)):
            value.flags.writeable = False
            object.__setattr__(self, name, value)

    @property
    def mean(self) -> float:
        """The mean E X."""
        return float(self.weights @ self.means)

    @property
    def second_moment(self) -> float:
        """The second moment E X²."""
        return float(self.weights @ (self.means**2 + self.variances))

    def sample(self, n: int, *, rng: np.random.Generator) -> Array:
        """Draw n independent entries, shape (n,)."""
        _checks.generator("rng", rng)
        n = _checks.integer("n", n, at_least=1)
        component = rng.choice(self.weights.size, size=n, p=self.weights)
        scale = np.sqrt(self.variances[component])
        return self.means[component] + scale * rng.standard_normal(n)

    def posterior(self, precision: ArrayLike, field: ArrayLike) -> tuple[Array, Array]:
        """Return the mean and variance of X under the likelihood exp(B X − Λ X²/2).

        Parameters
        ----------
        precision : array_like
            Λ ≥ 0.
        field : array_like
            B, of a shape that broadcasts with Λ.
        """
        lam, B = np.asarray(precision, dtype=np.float64), np.asarray(field, dtype=np.float64)
        gains = [1.0 / (1.0 + v * lam) for v in self.variances]
        logits = [
            np.log(w * np.sqrt(gain)) + gain * (mu * (B - 0.5 * mu * lam) + 0.5 * v * B**2)
            for w, mu, v, gain in zip(self.weights, self.means, self.variances, gains, strict=True)
        ]
        largest = np.maximum.reduce(logits)
        odds = [np.exp(logit - largest) for logit in logits]
        total = np.add.reduce(odds)
        centres = [
            gain * (mu + v * B)
            for mu, v, gain in zip(self.means, self.variances, gains, strict=True)
        ]
        mean: Array = sum(p * c for p, c in zip(odds, centres, strict=True)) / total
        spreads = [
            p * ((c - mean) ** 2 + gain * v)
            for p, c, v, gain in zip(odds, centres, self.variances, gains, strict=True)
        ]
        return mean, np.add.reduce(spreads) / total

    def mmse(self, precision: ArrayLike) -> Array:
        """Return E Var(X | X + Z/√Λ), the least mean squared error at precision Λ ≥ 0.

        An integral over the law of the observation, component by component, on nodes that are
        dense at the scale of the noise and reach to that of the prior.
        """
        lam = np.asarray(precision, dtype=np.float64)[..., None, None]
        # The field B = Λ X + √Λ Z is of scale √Λ around Λ μ_c, and of Λ σ_c beyond.
        inner, outer = np.sqrt(lam), np.sqrt(lam + self.variances[:, None] * lam**2)
        scale = np.where(inner > 0.0, inner, 1.0)
        reach = np.arcsinh(CUT * outer / scale)
        u = np.linspace(-1.0, 1.0, ERROR_NODES) * reach
        step = 2.0 * reach / (ERROR_NODES - 1)
        y = scale * np.sinh(u) / np.where(outer > 0.0, outer, 1.0)
        density = np.exp(-0.5 * y**2) / np.sqrt(2.0 * np.pi)
        jacobian = scale * np.cosh(u) / np.where(outer > 0.0, outer, 1.0)
        field = lam * self.means[:, None] + y * outer
        variance = self.posterior(lam, field)[1]
        by_component = (density * jacobian * step * variance).sum(axis=-1)
        result: Array = by_component @ self.weights
        unseen = self.second_moment - self.mean**2
        return np.where(lam[..., 0, 0] > 0.0, result, unseen)[()]

    def law(self, nodes: int = 61) -> tuple[Array, Array]:
        """Return atoms and weights for quadrature, `nodes` of Gauss–Hermite for each Gaussian."""
        nodes = _checks.integer("nodes", nodes, at_least=1)
        values, weights = gaussian_law(nodes)
        positions, masses = [], []
        for w, mean, variance in zip(self.weights, self.means, self.variances, strict=True):
            positions.append([mean] if variance == 0.0 else mean + np.sqrt(variance) * values)
            masses.append([w] if variance == 0.0 else w * weights)
        return np.concatenate(positions), np.concatenate(masses)


def rademacher() -> Prior:
    """Return the prior of signs: ±1 with probability ½ each."""
    return _mixture((0.5, -1.0, 0.0), (0.5, 1.0, 0.0))


def sparse_signs(density: float) -> Prior:
    """Return the prior of sparse signs: 0, or with probability `density` < 1 a sign ±1."""
    rho = _checks.number("density", density, above=0.0, below=1.0)
    return _mixture((1.0 - rho, 0.0, 0.0), (rho / 2.0, -1.0, 0.0), (rho / 2.0, 1.0, 0.0))


def gaussian(variance: float = 1.0) -> Prior:
    """Return the centred Gaussian prior."""
    return _mixture((1.0, 0.0, _checks.number("variance", variance, above=0.0)))


def bernoulli_gauss(density: float, variance: float = 1.0) -> Prior:
    """Return the prior of sparse Gaussians: 0, or with probability `density` < 1 a Gaussian."""
    rho = _checks.number("density", density, above=0.0, below=1.0)
    slab = _checks.number("variance", variance, above=0.0)
    return _mixture((1.0 - rho, 0.0, 0.0), (rho, 0.0, slab))


def gaussian_law(nodes: int = 61) -> tuple[Array, Array]:
    """Return the nodes and weights of Gauss–Hermite's rule for the standard Gaussian."""
    values, weights = roots_hermitenorm(nodes)
    return values, weights / weights.sum()


def _mixture(*components: tuple[float, float, float]) -> Prior:
    """Return the prior of components (weight, mean, variance)."""
    weights, means, variances = np.array(components).T
    return Prior(weights, means, variances)
