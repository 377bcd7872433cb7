"""Diagonal linear networks: gradient flow from a small initialisation, and its limit.

The system.  A quadratic loss l(x) = ½⟨x, Mx⟩ − ⟨r, x⟩ is minimised by gradient flow in (u, v) with
x = u∘v ("uv"), or in u with x = u∘u ("uu"), with weight decay λ ≥ 0, from

    u(0) = √ε β,  v(0) = √ε γ        or        u(0) = √ε α.

With L = log(1/ε) and the clock s = 2t/L ("uv") or s = 4t/L ("uu"), write z(s) = ∫₀ˢ x and
ρ(s) = s r − M z(s), so that dρ/ds = −∇l(x).  Both networks are then the same equation,

    uv:  x = y₊ − y₋,  y± = ε ((β ± γ)/2)² exp(L(±ρ − λs));      uu:  x = ε α² exp(L(ρ − λs)).

In exponents, y = ε^w: w = w(0) + λs ∓ ρ ("uu": minus), the dual variable, with w(0) → 1.

The limit.  As ε → 0, z tends locally uniformly to the solution of

    w = 1 + λs ∓ ρ ≥ 0,  dy/ds ≥ 0,  ⟨w, dy/ds⟩ = 0,  y(0) = 0        (y = z₊, z₋ the two sides)

and x(s) to a staircase: on each step x minimises l + λ|·|₁ among the points that use only the
coordinates and signs with w = 0.  When M is a Stieltjes matrix, "uu" only ever adds coordinates and
the staircase has a closed form.

The rate.  z − z⁰ = O(1/L), with constant M_AA⁻¹ log(|x_A|/a_A²) on the active set A while nothing
has been switched off; x itself converges at a power of ε between the knots, in layers of width
O(1/L) around them.

Source: arXiv:2208.14673 (incremental learning), arXiv:2509.18766 (Theorems 2.1 and 3.1, and the
linear complementarity problem with derivatives of its proof).
"""

from inthelimit.diagonal.flow import DiagonalFlow, diagonal_flow
from inthelimit.diagonal.limit import StaircasePath, diagonal_limit, incremental_path

__all__ = [
    "DiagonalFlow",
    "StaircasePath",
    "diagonal_flow",
    "diagonal_limit",
    "incremental_path",
]
