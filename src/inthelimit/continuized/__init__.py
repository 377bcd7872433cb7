"""Continuized Nesterov acceleration: random discrete steps that are a continuous process, exactly.

The system.  Two points x, z ∈ R^d mix continuously and take gradient steps at the jump times of a
Poisson process N of rate one; with g a gradient of f at x just before the jump, exact or noisy,

    dx = η (z − x) dt − γ g dN,        dz = η' (x − z) dt − γ' g dN.

Between jumps the equation is linear with two coefficients, so the iterates x(T_k), z(T_k) obey a
recursion of Nesterov's form with random coefficients: nothing is discretised.

The limit.  The law of the process.  Its second moments on a quadratic obey linear equations, solved
here without simulation; averaged over the clock, the mean follows the accelerated flow
x'' + (3/s) x' + ∇f(x) = 0 when L → ∞ at t = s√L.

The rate.  φ = A (f(x) − f*) + B/2 ‖z − x*‖² is a supermartingale, so for the three schedules

    E f(x_t) − f* ≤ 2L‖z_0 − x*‖²/t²        (convex),
    E f(x_t) − f* ≤ (f(x_0) − f* + μ/2 ‖z_0 − x*‖²) e^{−√(μ/L) t}        (μ-strongly convex),
    E f(x_t) − f* ≤ μ/2 ‖z_0 − x*‖²/sinh²(½√(μ/L) t)        (both at once).

Additive noise of variance σ² adds σ²t/(3L), or σ²/√(μL); the multiplicative noise of least squares
replaces L by R²κ̃ in the rates.

Source: arXiv:2102.06035 (exact gradients), arXiv:2106.07644 (noisy gradients).
"""

from inthelimit.continuized.classical import (
    accelerated_flow,
    gradient_descent,
    nesterov,
    stochastic_gradient_descent,
)
from inthelimit.continuized.iterations import (
    ContinuizedRun,
    State,
    continuized_nesterov,
    continuized_steps,
)
from inthelimit.continuized.laws import LeastSquaresLaw
from inthelimit.continuized.least_squares import (
    LeastSquaresConstants,
    edge_law,
    finite_law,
    gaussian_law,
    least_squares_constants,
    least_squares_gradient,
    one_hot_law,
)
from inthelimit.continuized.moments import (
    SecondMoments,
    jump_moments,
    least_squares_log_rate,
    log_rate,
    log_rate_per_iteration,
    second_moments,
)
from inthelimit.continuized.schedules import (
    ConstantSchedule,
    ConvexSchedule,
    ExponentialSchedule,
    Parameters,
    Schedule,
    Step,
    UniformSchedule,
    constant_schedule,
    convex_schedule,
    least_squares_schedule,
    strongly_convex_schedule,
    uniform_schedule,
)

__all__ = [
    "ConstantSchedule",
    "ContinuizedRun",
    "ConvexSchedule",
    "ExponentialSchedule",
    "LeastSquaresConstants",
    "LeastSquaresLaw",
    "Parameters",
    "Schedule",
    "SecondMoments",
    "State",
    "Step",
    "UniformSchedule",
    "accelerated_flow",
    "constant_schedule",
    "continuized_nesterov",
    "continuized_steps",
    "convex_schedule",
    "edge_law",
    "finite_law",
    "gaussian_law",
    "gradient_descent",
    "jump_moments",
    "least_squares_constants",
    "least_squares_gradient",
    "least_squares_log_rate",
    "least_squares_schedule",
    "log_rate",
    "log_rate_per_iteration",
    "nesterov",
    "one_hot_law",
    "second_moments",
    "stochastic_gradient_descent",
    "strongly_convex_schedule",
    "uniform_schedule",
]
