"""Ready-made models: graphs with their functions, planted data and limits.

Each is a few lines on top of `inthelimit.amp`.  A model is made by a function that draws a signal
and finds, from the limit alone, the parameters that its algorithm uses at each time; it holds the
graph to be run, or to be given to state evolution, and says how to read the outcome.

Source: arXiv:2109.11905, whose examples they are.
"""

from inthelimit.amp.models import channels, priors
from inthelimit.amp.models.convex import (
    Lasso,
    LassoLimit,
    lasso,
    lasso_graph,
    lasso_limit,
    lasso_limit_at,
    phase_transition,
    smallest_alpha,
    soft,
    symmetric,
)
from inthelimit.amp.models.glm import GeneralizedLinear, generalized_linear
from inthelimit.amp.models.priors import Prior
from inthelimit.amp.models.spiked import SpikedWigner, fixed_overlap, spiked_wigner

__all__ = [
    "GeneralizedLinear",
    "Lasso",
    "LassoLimit",
    "Prior",
    "SpikedWigner",
    "channels",
    "fixed_overlap",
    "generalized_linear",
    "lasso",
    "lasso_graph",
    "lasso_limit",
    "lasso_limit_at",
    "phase_transition",
    "priors",
    "smallest_alpha",
    "soft",
    "spiked_wigner",
    "symmetric",
]
