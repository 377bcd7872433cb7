"""The problem data of single-index learning: a target φ, an activation σ, in Hermite coefficients.

The target is y = φ(⟨u*, x⟩) with x ~ N(0, I_d), |u*| = 1; the network is

    f(x) = (1/m) Σ_i a_i σ(⟨u_i, x⟩),        |u_i| = 1.

With s_i = ⟨u_i, u*⟩ and r_ij = ⟨u_i, u_j⟩ the risk R = ½ E (y − f)² knows the functions only by

    V(s) = Σ_k φ_k σ_k s^k,        U(r) = Σ_k σ_k² r^k.

Where every r_ij = s_i s_j (many neurons in many dimensions) it is R = ½ Σ_k ρ_k² with residuals
ρ_k = φ_k − σ_k mean(a s^k): one term for every degree, learned one after another.
Source: arXiv:2303.00055 (setting and the canonical learning order).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.single_index._series import differentiated, power_series
from inthelimit.single_index.activations import (
    Activation,
    erf_activation,
    erf_coefficients,
    relu_activation,
    relu_coefficients,
)

# Order parameters of unit vectors leave [−1, 1] by rounding only.
ROUNDING = 1e-9
# Products of four coefficients stay numbers.
LARGEST = 1e50


@dataclass(frozen=True, slots=True, eq=False)
class SingleIndexProblem:
    """A target φ and an activation σ, by their coefficients in the orthonormal Hermite polynomials.

    Parameters
    ----------
    phi : array_like, shape (K + 1,)
        The target: φ = Σ_k phi[k] he_k.
    sigma : array_like, shape (K + 1,)
        The activation: σ = Σ_k sigma[k] he_k.  The shorter of the two is padded with zeros.
    activation : Activation, optional
        The activation itself, if `sigma` is the beginning of its expansion; then U is its closed
        form, and data are fed to it and not to the series.

    Raises
    ------
    ValueError
        If a coefficient is not finite or beyond ±1e50, or `sigma` has a larger norm than
        `activation`.

    Notes
    -----
    The arrays are stored as read-only float64 copies of equal length.  Source: arXiv:2303.00055,
    setting.

    Examples
    --------
    >>> problem = SingleIndexProblem(phi=[1.0, 1.0, 0.5], sigma=[1.0, 1.0, 1.0])
    >>> problem.plateaus()
    array([1.125, 0.625, 0.125, 0.   ])
    >>> float(problem.V(0.5)), float(problem.U(0.5))
    (1.625, 1.75)
    """

    phi: Array
    sigma: Array
    activation: Activation | None = None

    def __post_init__(self) -> None:
        phi, sigma = _checks.vector("phi", self.phi), _checks.vector("sigma", self.sigma)
        for name, array in (("phi", phi), ("sigma", sigma)):
            _checks.moderate(name, array, largest=LARGEST)
        size = max(phi.size, sigma.size)
        phi, sigma = (np.pad(c, (0, size - c.size)) for c in (phi, sigma))
        if self.activation is not None:
            norm, whole = float(sigma @ sigma), float(self.activation.kernel(np.array(1.0)))
            if norm > whole * (1 + ROUNDING):
                raise ValueError(
                    f"sigma must be the expansion of activation {self.activation.name}, whose "
                    f"squares sum to {whole:.6g}, got a sum of {norm:.6g}"
                )
        for name, array in (("phi", phi), ("sigma", sigma)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @classmethod
    def of(
        cls,
        phi: ArrayLike,
        activation: str = "relu",
        *,
        degree: int | None = None,
        scale: float = 1.0,
    ) -> Self:
        """Return the problem with a named activation, expanded up to `degree`.

        Parameters
        ----------
        phi : array_like
            The target's coefficients.
        activation : {"relu", "erf"}
            max(x, 0) or erf(scale · x).
        degree : int, optional
            The length of the expansion, at least that of `phi`; by default 16 or that of `phi`.
        scale : float, default 1
            For "erf".

        Returns
        -------
        SingleIndexProblem

        Raises
        ------
        ValueError
            If an argument is out of range.

        Examples
        --------
        >>> SingleIndexProblem.of([1.0, -1.0, 2 / 3], "relu", degree=4).sigma.round(4)
        array([ 0.3989,  0.5   ,  0.2821,  0.    , -0.0814])
        """
        phi = _checks.vector("phi", phi)
        _checks.choice("activation", activation, ("relu", "erf"))
        degree = max(16, phi.size - 1) if degree is None else degree
        degree = _checks.integer("degree", degree, at_least=phi.size - 1)
        if activation == "relu":
            return cls(phi, relu_coefficients(degree), relu_activation())
        return cls(phi, erf_coefficients(degree, scale), erf_activation(scale))

    @property
    def degree(self) -> int:
        """The degree K at which the expansions end."""
        return self.phi.size - 1

    def V(self, s: ArrayLike) -> Array:
        """Return V(s) = Σ_k φ_k σ_k s^k = E φ(X) σ(Y), of the shape of s, for |s| ≤ 1."""
        return power_series(self.phi * self.sigma, _correlation("s", s))

    def V_derivative(self, s: ArrayLike) -> Array:
        """Return V′(s), of the shape of s, for |s| ≤ 1."""
        return power_series(differentiated(self.phi * self.sigma), _correlation("s", s))

    def U(self, r: ArrayLike) -> Array:
        """Return U(r) = Σ_k σ_k² r^k = E σ(X) σ(Y), of the shape of r, for |r| ≤ 1."""
        r = _correlation("r", r)
        if self.activation is not None:
            return self.activation.kernel(r)
        return power_series(self.sigma**2, r)

    def U_derivative(self, r: ArrayLike) -> Array:
        """Return U′(r), of the shape of r, for |r| ≤ 1."""
        r = _correlation("r", r)
        if self.activation is not None:
            return self.activation.kernel_derivative(r)
        return power_series(differentiated(self.sigma**2), r)

    def plateaus(self) -> Array:
        """Return the risks ½ Σ_{k ≥ l} φ_k² once the degrees < l are learned, l = 0, …, K + 1."""
        tails: Array = np.append(np.cumsum(self.phi[::-1] ** 2)[::-1], 0.0) / 2
        return tails

    def residuals(self, a: ArrayLike, s: ArrayLike, weights: ArrayLike | None = None) -> Array:
        """Return ρ_k = φ_k − σ_k mean(a s^k), k = 0, …, K, of shape (K + 1,).

        The mean is over neurons a, s of shape (N,), with `weights` if they are given.
        """
        a = _checks.vector("a", a)
        s = _checks.vector("s", s, length=a.size)
        w = np.full(a.size, 1 / a.size) if weights is None else weights
        w = _checks.vector("weights", w, length=a.size)
        moments = (w * a) @ np.vander(s, self.phi.size, increasing=True)
        residuals: Array = self.phi - self.sigma * moments
        return residuals

    def risk_of(self, residuals: ArrayLike) -> Array:
        """Return the mean-field risk ½ Σ_k ρ_k², of shape (...), for residuals (..., K + 1)."""
        residuals = _checks.points("residuals", residuals, dimension=self.phi.size)
        risk: Array = np.vecdot(residuals, residuals) / 2
        return risk

    def check_stage(self, l: int) -> None:
        """Raise ValueError unless the degree l can be learned in its turn.

        Degree 0 needs σ_0 φ_0 ≠ 0; degree l ≥ 1 needs σ_k φ_k ≠ 0 for k = 1, …, l, since a stage
        that does not happen leaves the later ones nothing to start from.
        """
        l = _checks.integer("l", l, at_least=0)
        if l > self.degree:
            raise ValueError(
                f"l must be within the expansion's degree {self.degree}, got {l}: lengthen phi "
                f"and sigma"
            )
        for k in range(min(l, 1), l + 1):
            if self.phi[k] * self.sigma[k] == 0.0:
                which = f"phi[{k}]" if self.phi[k] == 0.0 else f"sigma[{k}]"
                because = "" if k == l else f", so that stage {k} does not happen"
                raise ValueError(f"stage {l} can't happen: {which} = 0{because}")


def _correlation(name: str, value: ArrayLike) -> Array:
    array = _checks.real_array(name, value)
    if array.size and np.abs(array).max() > 1.0 + ROUNDING:
        raise ValueError(f"{name} must be within ±1, got a value of size {np.abs(array).max()}")
    return np.clip(array, -1.0, 1.0)
