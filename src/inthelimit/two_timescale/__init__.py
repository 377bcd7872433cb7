"""Two time-scales: neurons move slowly while the outer layer follows fast, and training converges.

Source: arXiv:2304.09576.
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
