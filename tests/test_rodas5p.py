"""The coefficients of the Rosenbrock method, held to the order that they must have."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from inthelimit import _rodas5p as rodas

# A nonlinear system that depends on time, with a solution in closed form:
# y₁ = exp(sin s), y₂ = 1/(1 + s), coupled so that no entry of the Jacobian vanishes.
N = 2


def solution(s):
    return np.array([np.exp(np.sin(s)), 1 / (1 + s)])


def field(y, s):
    """y' with a term that vanishes on the solution and couples everything, nonlinearly."""
    a, b = y - solution(s)
    own = np.array([np.cos(s) * y[0], -(y[1] ** 2)])
    return own + np.array([np.sin(a + 2 * b), a * y[1] - b * y[0] + b**2])


def jacobian(y, s, h=1e-20):
    """Complex-step derivatives: exact to rounding."""
    columns = []
    for k in range(N):
        z = y.astype(complex)
        z[k] += 1j * h
        columns.append(field(z, s).imag / h)
    return np.array(columns).T, field(y.astype(complex), s + 1j * h).imag / h


def one_step(y, s, h):
    """The stages, as the comments in the module define them."""
    J, time_slope = jacobian(y, s)
    system = np.eye(N) / (h * rodas.GAMMA) - J
    U = np.zeros((8, N))
    for i in range(8):
        right = field(y + rodas.STAGES[i, :i] @ U[:i], s + rodas.TIMES[i] * h)
        right = right + rodas.COUPLING[i, :i] @ U[:i] / h + h * rodas.SLOPES[i] * time_slope
        U[i] = np.linalg.solve(system, right)
    return U


def errors(s, h):
    """Local errors of the step, of its embedded companion, and of the dense output at θ."""
    y = solution(s) + np.array([0.3, -0.2])  # off the known solution, so that all terms count
    U = one_step(y, s, h)
    move = np.array([rodas.combine(U, a) for a in range(N)])
    thetas = np.array([0.21, 0.5, 0.83])
    reference = solve_ivp(
        lambda t, v: field(v, t), (s, s + h), y, method="DOP853", rtol=1e-13, atol=1e-15,
        t_eval=[*(s + h * thetas), s + h],
    ).y.T  # fmt: skip
    inside = [[rodas.dense(theta, move[a], U, a) for a in range(N)] for theta in thetas]
    return (
        np.abs(y + move - reference[-1]).max(),
        np.abs(y + move - U[7] - reference[-1]).max(),
        np.abs(y + np.array(inside) - reference[:-1]).max(),
    )


def test_local_errors_fall_as_the_orders_say():
    steps = 0.05 * 0.5 ** np.arange(4)
    local = np.array([errors(0.3, h) for h in steps])
    step, embedded, dense = np.polyfit(np.log(steps), np.log(local), 1)[0]
    # Order p means a local error h^(p+1): 5 for the step, 4 for the embedded and dense ones.
    # The step's own error is near rounding, and still bends where the others are straight.
    assert step > 5.4
    np.testing.assert_allclose([embedded, dense], 5, atol=0.1)


def test_order_conditions_hold_to_rounding():
    """A polynomial of degree 4 in time is integrated exactly, within the step too."""
    for degree in range(5):

        def monomial(s, degree=degree):
            return (degree + 1) * s**degree

        h, s = 0.7, 0.4
        slope = (degree + 1) * degree * s ** max(degree - 1, 0)
        U = np.zeros((8, 1))
        for i in range(8):
            right = monomial(s + rodas.TIMES[i] * h) + rodas.COUPLING[i, :i] @ U[:i, 0] / h
            U[i, 0] = h * rodas.GAMMA * (right + h * rodas.SLOPES[i] * slope)
        assert rodas.combine(U, 0) == pytest.approx(
            (s + h) ** (degree + 1) - s ** (degree + 1), abs=1e-13
        )
        if degree < 4:
            for theta in (0.2, 0.6, 0.9):
                exact = (s + theta * h) ** (degree + 1) - s ** (degree + 1)
                assert rodas.dense(theta, rodas.combine(U, 0), U, 0) == pytest.approx(
                    exact, abs=1e-12
                )


def test_the_method_is_stiffly_accurate_and_damps_completely():
    for stiffness in (1e4, 1e8):
        U = np.zeros(8)
        for i in range(8):
            right = -stiffness * (1 + rodas.STAGES[i, :i] @ U[:i]) + rodas.COUPLING[i, :i] @ U[:i]
            U[i] = right / (1 / rodas.GAMMA + stiffness)
        assert abs(1 + rodas.WEIGHTS @ U) < 100 / stiffness


def test_the_ramp_is_what_a_constant_field_gives():
    U = np.zeros(8)
    for i in range(8):
        U[i] = rodas.GAMMA * (1 + rodas.COUPLING[i, :i] @ U[:i])
    np.testing.assert_allclose(rodas.RAMP, U, rtol=1e-13)
    assert rodas.WEIGHTS @ rodas.RAMP == pytest.approx(1, abs=1e-13)
