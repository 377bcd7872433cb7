"""Two time-scales: neurons move slowly while the outer layer follows fast, and training converges.

The system.  A network of smoothed steps f = a_0 + Σ_j a_j s((x − u_j)/η) learns a staircase f* on
[0, 1] by the gradient flow of L = ∫ (f* − f)², in which positions move ε times as fast as the outer
layer; in slow time τ = εt

    ε da/dτ = −∂L/∂a,    du/dτ = −∂L/∂u.

The limit.  As ε → 0 the outer layer is at its optimum (`reduced_flow`); as η → 0 too, steps are
true steps (`limit_flow`).  If every jump has two neighbours of its own, only these move, the nearer
one arrives at a time T_i ≤ 2/Δf², and every jump is found.

The rate.  Order one in ε while the Gram matrix of the features stays away from singular, and order
one in η; with a neuron on every jump (η/28) Σ J² of the loss is left.

Source: arXiv:2304.09576 (the two-time-scale regime, its experiments); the closed forms and the
rates are worked out here.
"""

from inthelimit.two_timescale.activation import (
    sigmoid,
    sigmoid_derivative,
    sigmoid_primitive,
)
from inthelimit.two_timescale.additive import (
    AdditiveRun,
    additive_descent,
    additive_target,
    relu_target,
)
from inthelimit.two_timescale.flows import Flow, gradient_flow, reduced_flow
from inthelimit.two_timescale.hit_laws import HitTimeLaw, hit_time_law, scaled_hit_time_cdf
from inthelimit.two_timescale.hit_times import hit_time
from inthelimit.two_timescale.limit import LimitFlow, limit_flow, limit_loss
from inthelimit.two_timescale.network import StepNetwork, captured_jumps, gradient, loss
from inthelimit.two_timescale.outer_layer import gram, lag, optimal_outer_layer
from inthelimit.two_timescale.recovery import (
    RecoveryProbability,
    neurons_needed,
    recovery_probability,
)
from inthelimit.two_timescale.stochastic import SGDRun, kick_ratio, sgd
from inthelimit.two_timescale.target import PiecewiseConstant

__all__ = [
    "AdditiveRun",
    "Flow",
    "HitTimeLaw",
    "LimitFlow",
    "PiecewiseConstant",
    "RecoveryProbability",
    "SGDRun",
    "StepNetwork",
    "additive_descent",
    "additive_target",
    "captured_jumps",
    "gradient",
    "gradient_flow",
    "gram",
    "hit_time",
    "hit_time_law",
    "kick_ratio",
    "lag",
    "limit_flow",
    "limit_loss",
    "loss",
    "neurons_needed",
    "optimal_outer_layer",
    "recovery_probability",
    "reduced_flow",
    "relu_target",
    "scaled_hit_time_cdf",
    "sgd",
    "sigmoid",
    "sigmoid_derivative",
    "sigmoid_primitive",
]
