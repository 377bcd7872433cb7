"""Ready-made models: graphs with their functions, planted data and limits.

Each is a few lines on top of `inthelimit.amp`.  A model is made by a function that draws a signal
and finds, from the limit alone, the parameters that its algorithm uses at each time; it holds the
graph to be run, or to be given to state evolution, and says how to read the outcome.

Source: arXiv:2109.11905, whose examples they are.
"""

from inthelimit.amp.models import channels, priors
from inthelimit.amp.models.calibration import (
    LassoLimit,
    lasso_limit,
    lasso_limit_at,
    phase_transition,
    smallest_alpha,
)
from inthelimit.amp.models.committee import Committee, committee_machine
from inthelimit.amp.models.convex import Lasso, lasso, lasso_graph, soft, symmetric
from inthelimit.amp.models.coupled import Coupled, CoupledLimit, coupled_limit, coupled_sensing
from inthelimit.amp.models.generative import (
    GenerativeLimit,
    GenerativeSpike,
    generative_limit,
    generative_spike,
    weak_recovery,
)
from inthelimit.amp.models.glm import GeneralizedLinear, generalized_linear
from inthelimit.amp.models.hidden_units import Output
from inthelimit.amp.models.layers import Layer, SignLayer
from inthelimit.amp.models.multilayer import MultiLayer, multilayer_network
from inthelimit.amp.models.priors import Prior
from inthelimit.amp.models.spiked import SpikedWigner, fixed_overlap, spiked_wigner

__all__ = [
    "Committee",
    "Coupled",
    "CoupledLimit",
    "GeneralizedLinear",
    "GenerativeLimit",
    "GenerativeSpike",
    "Lasso",
    "LassoLimit",
    "Layer",
    "MultiLayer",
    "Output",
    "Prior",
    "SignLayer",
    "SpikedWigner",
    "channels",
    "committee_machine",
    "coupled_limit",
    "coupled_sensing",
    "fixed_overlap",
    "generalized_linear",
    "generative_limit",
    "generative_spike",
    "lasso",
    "lasso_graph",
    "lasso_limit",
    "lasso_limit_at",
    "multilayer_network",
    "phase_transition",
    "priors",
    "smallest_alpha",
    "soft",
    "spiked_wigner",
    "symmetric",
    "weak_recovery",
]
