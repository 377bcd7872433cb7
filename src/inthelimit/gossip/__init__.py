"""Asynchronous gossip: neighbours average when their edge rings, and the accelerated version."""

from inthelimit.gossip.decentralized import DecentralizedRun, decentralized_optimization
from inthelimit.gossip.moments import GossipMoments, exact_second_moments
from inthelimit.gossip.rates import exact_rate, gossip_bound

__all__ = [
    "DecentralizedRun",
    "GossipMoments",
    "decentralized_optimization",
    "exact_rate",
    "exact_second_moments",
    "gossip_bound",
]
