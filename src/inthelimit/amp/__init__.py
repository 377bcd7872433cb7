"""Approximate message passing on any oriented graph, with its state evolution.

The finite system.  Draw a graph: a dimension n_v on each vertex, N in all, and a function f_e on
each oriented edge e = (v → w).  Independent Gaussian matrices A_e of variance 1/N, the reverse edge
having the transpose, then drive

    m_e^t = f_e(iterates that end at v),    x_e^{t+1} = A_e m_e^t − b_e^t m_rev(e)^{t−1},

where b_e^t = (1/N) Σ_i ∂(f_e)_i/∂(x_rev(e))_i is found for you.

The limit.  As N → ∞ at fixed t, the iterates of an edge behave as Gaussian vectors with
independent rows and covariances κ_e^{s,t} in time, independent from edge to edge, which obey a
recursion of their own: state evolution.  The rate is 1/√N.

Source: arXiv:2109.11905, graph-based approximate message passing iterations.
"""

from inthelimit.amp.data import Side, Spike
from inthelimit.amp.evolution import Estimate, StateEvolution
from inthelimit.amp.functions import EdgeFunction, nonseparable, separable
from inthelimit.amp.gluing import glue
from inthelimit.amp.graph import AMPGraph, OrientedEdge, PerEdge
from inthelimit.amp.iteration import AMPRun, draw_matrices, run_amp
from inthelimit.amp.state_evolution import state_evolution

__all__ = [
    "AMPGraph",
    "AMPRun",
    "EdgeFunction",
    "Estimate",
    "OrientedEdge",
    "PerEdge",
    "Side",
    "Spike",
    "StateEvolution",
    "draw_matrices",
    "glue",
    "nonseparable",
    "run_amp",
    "separable",
    "state_evolution",
]
