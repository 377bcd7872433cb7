"""The partial differential equations that gossip tends to: heat, and a wave with fading friction.

The system.  On a lattice with gossip matrix W and jump covariance Λ = Σ_u w_u u uᵀ, values
x^0_v = u_0(εv) are mixed by x^n = W^n x^0 (simple gossip) or x^n = π_n(W) x^0 (Jacobi gossip, π_n
the Jacobi polynomial of parameters (α, β) with π_n(1) = 1).

The limit.  As ε → 0, x^n_v ≈ u(t, εv) where

    simple gossip, t = ε²n:   ∂_t u = ½ div(Λ∇u)                           heat,
    Jacobi gossip, t = εn:    ∂_tt u + ((2α+1)/t) ∂_t u = div(Λ∇u)         Euler–Poisson–Darboux,

with u(0) = u_0 and, for the second, ∂_t u(0) = 0.  From a Dirac mass, α = d/2 fills the ellipsoid
{xᵀΛ⁻¹x ≤ t²} uniformly: of all averages over that ellipsoid, the one with the least noise.

The rate.  O(ε²) for heat; O(ε) for the wave, and O(ε²) with the clock t = ε(n + (α+β+1)/2).

Source: arXiv:2202.10742 (the limits); the rates and the formulas for α ≠ d/2 are worked out here.
"""

from inthelimit.waves.bessel import normalised_bessel
from inthelimit.waves.checks import dirichlet_energy, epd_residual
from inthelimit.waves.fundamental import (
    epd_covariance,
    epd_fundamental_solution,
    epd_radial_cdf,
    heat_kernel,
    kernel_energy_limit,
)
from inthelimit.waves.propagators import epd_propagate, heat_propagate, spherical_mean

__all__ = [
    "dirichlet_energy",
    "epd_covariance",
    "epd_fundamental_solution",
    "epd_propagate",
    "epd_radial_cdf",
    "epd_residual",
    "heat_kernel",
    "heat_propagate",
    "kernel_energy_limit",
    "normalised_bessel",
    "spherical_mean",
]
