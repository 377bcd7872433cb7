"""Two-layer networks that learn a single-index target, one Hermite degree after another.

The system.  y = φ(⟨u*, x⟩) with x ~ N(0, I_d) is fitted by f(x) = (1/m) Σ_i a_i σ(⟨u_i, x⟩) with
|u_i| = 1, by the gradient flow of the risk R = ½ E (y − f)² in which the second layer is faster,

    ε a_i′ = −m ∂R/∂a_i,        u_i′ = −m (I − u_i u_iᵀ) ∂R/∂u_i,

from a_i(0) ~ P_A independent and u_i(0) uniform on the sphere.

The limit.  As d → ∞ and m → ∞ it is a flow in a_i and s_i = ⟨u_i, u*⟩, from s_i(0) = 0, whose risk
is ½ Σ_k ρ_k² with ρ_k = φ_k − σ_k mean(a s^k).  As ε → 0, on a logarithmic axis of time, the risk
becomes a staircase: degree 0 is learned at times ε, degree 1 at c_1 √ε log(1/ε), degree l ≥ 2 at
c_l ε^(1/(2l)), and it falls from one plateau ½ Σ_{k ≥ l} φ_k² to the next.

The rate.  Degree l is learned within a window of width ε^(1/(l+1)), or √ε for l = 1.

Source: arXiv:2303.00055 (the canonical learning order).  Of the paper the abstract could be read;
formulas here are derived anew, and what is proved, formal or observed is said with each.
"""

from inthelimit.single_index.activations import (
    Activation,
    erf_activation,
    erf_coefficients,
    relu_activation,
    relu_coefficients,
)
from inthelimit.single_index.constrained import (
    ConstrainedStage,
    constrained_stage_flow,
    linear_growth_slope,
)
from inthelimit.single_index.crossings import stage_times, stage_widths
from inthelimit.single_index.hermite import (
    hermite_coefficients,
    hermite_polynomials,
    hermite_series,
    polynomial_coefficients,
)
from inthelimit.single_index.laws import gaussian_law, uniform_law
from inthelimit.single_index.mean_field import (
    MeanFieldFlow,
    mean_field_flow,
    mean_field_velocity,
)
from inthelimit.single_index.population import (
    PopulationFlow,
    population_flow,
    population_risk,
    population_velocity,
)
from inthelimit.single_index.problem import SingleIndexProblem
from inthelimit.single_index.samples import SampledVelocity, sampled_velocity
from inthelimit.single_index.sgd import SGDRun, sgd
from inthelimit.single_index.shares import leading_share
from inthelimit.single_index.simplified import (
    SimplifiedStage,
    simplified_blow_up,
    simplified_stage_flow,
)
from inthelimit.single_index.stages import (
    CanonicalExponents,
    canonical_exponents,
    constant_stage_time,
    linear_stage_curve,
    linear_stage_end,
    linear_stage_time,
)
from inthelimit.single_index.states import PopulationState, population_start
from inthelimit.single_index.timetable import canonical_stage_times

__all__ = [
    "Activation",
    "CanonicalExponents",
    "ConstrainedStage",
    "MeanFieldFlow",
    "PopulationFlow",
    "PopulationState",
    "SGDRun",
    "SampledVelocity",
    "SimplifiedStage",
    "SingleIndexProblem",
    "canonical_exponents",
    "canonical_stage_times",
    "constant_stage_time",
    "constrained_stage_flow",
    "erf_activation",
    "erf_coefficients",
    "gaussian_law",
    "hermite_coefficients",
    "hermite_polynomials",
    "hermite_series",
    "leading_share",
    "linear_growth_slope",
    "linear_stage_curve",
    "linear_stage_end",
    "linear_stage_time",
    "mean_field_flow",
    "mean_field_velocity",
    "polynomial_coefficients",
    "population_flow",
    "population_risk",
    "population_start",
    "population_velocity",
    "relu_activation",
    "relu_coefficients",
    "sampled_velocity",
    "sgd",
    "simplified_blow_up",
    "simplified_stage_flow",
    "stage_times",
    "stage_widths",
    "uniform_law",
]
