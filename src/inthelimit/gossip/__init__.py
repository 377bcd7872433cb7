"""Gossip: neighbours on a graph exchange numbers at random times until all know the mean.

The system.  Edge {v, w} rings at the times of a Poisson process of rate P_vw, with Σ P_vw = 1.  In
simple gossip its ends then take their mean.  In accelerated gossip every node owns two numbers and
mixes them by itself, dx = η (z − x) dt and dz = η' (x − z) dt; at a ring, with g = x_v − x_w,

    x_v −= g/2,  x_w += g/2,        z_v −= γ' g,  z_w += γ' g.

The limit of infinitely many copies: the second moments obey a linear equation, whose solution is
the decay curve and whose spectral abscissa is the exact rate.

The rate.  E ‖x_t − consensus‖² ≤ C e^{−θt} with θ = μ_gossip/2 for simple gossip and
θ = √(μ_gossip/(2 max R)) for accelerated gossip, with η = η' = θ and γ' = θ/μ_gossip: n⁻³ becomes
n⁻² on a line of n nodes, n⁻² becomes n^(−3/2) on a grid, and on a complete graph nothing changes.

Synchronous gossip, all nodes at once with a symmetric matrix W, is x^n = q_n(W) x⁰.  On a network
of dimension d the variance goes down as n^(−d/2) for q_n(λ) = λⁿ, and as n^(−d) for the Jacobi
polynomials with α = d/2, which no other polynomials beat.

Beyond the mean: the same clocks minimise a sum of functions of which each node knows one.

Source: arXiv:2106.07644, accelerated randomized gossip, and decentralised optimisation;
arXiv:1805.08531 and arXiv:2202.10742 for synchronous gossip.
"""

from inthelimit.gossip.asynchronous import (
    GossipRun,
    accelerated_randomized_gossip,
    accelerated_schedule,
    randomized_gossip,
)
from inthelimit.gossip.clocks import EdgeEvents, simulate_clocks
from inthelimit.gossip.coefficients import Coefficients, jacobi_coefficients
from inthelimit.gossip.decentralized import DecentralizedRun, decentralized_optimization
from inthelimit.gossip.expected import expected_error
from inthelimit.gossip.kernels import gossip_kernel
from inthelimit.gossip.local_averaging import expected_local_averaging_error, local_averaging
from inthelimit.gossip.moments import GossipMoments, exact_second_moments
from inthelimit.gossip.parameter_free import parameter_free_gossip
from inthelimit.gossip.polynomials import (
    JacobiMethod,
    JacobiWithGap,
    MessagePassing,
    Method,
    ShiftRegister,
    SimpleMethod,
)
from inthelimit.gossip.rates import exact_rate, gossip_bound
from inthelimit.gossip.spread import (
    kernel_coordinates,
    kernel_covariance,
    radial_cdf,
    radial_distance,
)
from inthelimit.gossip.synchronous import (
    jacobi_gossip,
    jacobi_gossip_with_gap,
    message_passing_gossip,
    polynomial_gossip,
    shift_register_gossip,
    simple_gossip,
)

__all__ = [
    "Coefficients",
    "DecentralizedRun",
    "EdgeEvents",
    "GossipMoments",
    "GossipRun",
    "JacobiMethod",
    "JacobiWithGap",
    "MessagePassing",
    "Method",
    "ShiftRegister",
    "SimpleMethod",
    "accelerated_randomized_gossip",
    "accelerated_schedule",
    "decentralized_optimization",
    "exact_rate",
    "exact_second_moments",
    "expected_error",
    "expected_local_averaging_error",
    "gossip_bound",
    "gossip_kernel",
    "jacobi_coefficients",
    "jacobi_gossip",
    "jacobi_gossip_with_gap",
    "kernel_coordinates",
    "kernel_covariance",
    "local_averaging",
    "message_passing_gossip",
    "parameter_free_gossip",
    "polynomial_gossip",
    "radial_cdf",
    "radial_distance",
    "randomized_gossip",
    "shift_register_gossip",
    "simple_gossip",
    "simulate_clocks",
]
