"""A linearly implicit integrator that knows the shape of the diagonal network's flow.

It advances (ρ, z) with dρ/ds = r − Mx, dz/ds = x, where x = y₊ − y₋ and

    log y± = p± + L(±ρ − λs).

Four things make its cost nearly independent of L.

- A coordinate with y below a floor changes nothing, and its ρ is linear in the others' z: the
  linear systems only have the size m of the visible set, and between two ignitions nothing limits
  the step.  The next ignition is predicted from dρ/ds, and the step ends there.
- Once on, a coordinate relaxes at rate L: the method is L-stable, and steps over what has decayed.
- ρ + Mz − sr is linear and conserved, and a Rosenbrock method conserves such invariants exactly.
  Stages are therefore solved for z, through the symmetric positive definite matrix
  1 + hγ D^½ M_AA D^½ with D = L(y₊ + y₋), by Cholesky; the whole step moves ρ by one product.
- ρ is kept as a variable of its own, and moved by its own stages where x is visible: it is of order
  one, so that x = exp(L(ρ − 1)) loses only L roundings, where s r − Mz would lose L · s|r|.

The method is Rodas5P (G. Steinebach, BIT Numerical Mathematics 63, 27, 2023): order 5, embedded
order 4, eight stages, stiffly accurate, with its own fourth-order dense output.
"""

import numpy as np
from numpy.typing import NDArray

from inthelimit._checks import Array
from inthelimit._compiled import compiled

Indices = NDArray[np.int64]

GAMMA = 0.21193756319429014
# Stage i is evaluated at y + Σ_j STAGES[i, j] U_j, at time s + TIMES[i] h, and solves
# (1/(hγ) − J) U_i = f + Σ_j COUPLING[i, j] U_j / h + h SLOPES[i] ∂f/∂s.
STAGES = np.zeros((8, 8))
STAGES[1, :1] = [3.0]
STAGES[2, :2] = [2.849394379747939, 0.45842242204463923]
STAGES[3, :3] = [-6.954028509809101, 2.489845061869568, -10.358996098473584]
STAGES[4, :4] = [
    2.8029986275628964,
    0.5072464736228206,
    -0.3988312541770524,
    -0.04721187230404641,
]
STAGES[5:, :5] = [
    -7.502846399306121,
    2.561846144803919,
    -11.627539656261098,
    -0.18268767659942256,
    0.030198172008377946,
]
STAGES[6, 5] = STAGES[7, 5] = STAGES[7, 6] = 1.0
# The step adds Σ_j WEIGHTS[j] U_j; its error estimate is U_7, the last stage.
WEIGHTS = STAGES[7].copy()
WEIGHTS[7] = 1.0
COUPLING = np.zeros((8, 8))
COUPLING[1, :1] = [-14.155112264123755]
COUPLING[2, :2] = [-17.97296035885952, -2.859693295451294]
COUPLING[3, :3] = [147.12150275711716, -1.41221402718213, 71.68940251302358]
COUPLING[4, :4] = [
    165.43517024871676,
    -0.4592823456491126,
    42.90938336958603,
    -5.961986721573306,
]
COUPLING[5, :5] = [
    24.854864614690072,
    -3.0009227002832186,
    47.4931110020768,
    5.5814197821558125,
    -0.6610691825249471,
]
COUPLING[6, :6] = [
    30.91273214028599,
    -3.1208243349937974,
    77.79954646070892,
    34.28646028294783,
    -19.097331116725623,
    -28.087943162872662,
]
COUPLING[7, :7] = [
    37.80277123390563,
    -3.2571969029072276,
    112.26918849496327,
    66.9347231244047,
    -40.06618937091002,
    -54.66780262877968,
    -9.48861652309627,
]
TIMES = np.array(
    [0.0, 0.6358126895828704, 0.4095798393397535, 0.9769306725060716, 0.4288403609558664, 1, 1, 1]
)
SLOPES = np.array(
    [
        GAMMA,
        -0.42387512638858027,
        -0.3384627126235924,
        1.8046452872882734,
        2.325825639765069,
        0,
        0,
        0,
    ]
)
# y(s + θh) = (1−θ) y₀ + θ (y₁ + (1−θ)(κ₁ + θ(κ₂ + θκ₃))), κ = DENSE @ U.
DENSE = np.array(
    [
        [
            25.948786856663858,
            -2.5579724845846235,
            10.433815404888879,
            -2.3679251022685204,
            0.524948541321073,
            1.1241088310450404,
            0.4272876194431874,
            -0.17202221070155493,
        ],
        [
            -9.91568850695171,
            -0.9689944594115154,
            3.0438037242978453,
            -24.495224566215796,
            20.176138334709044,
            15.98066361424651,
            -6.789040303419874,
            -6.710236069923372,
        ],
        [
            11.419903575922262,
            2.8879645146136994,
            72.92137995996029,
            80.12511834622643,
            -52.072871366152654,
            -59.78993625266729,
            -0.15582684282751913,
            4.883087185713722,
        ],
    ]
)
# For dy/ds = constant every stage is a multiple of it: U_i = RAMP[i] · h · constant.
RAMP = np.zeros(8)
for _i in range(8):
    RAMP[_i] = GAMMA * (1.0 + COUPLING[_i] @ RAMP)

# Growth of log y allowed in one step: beyond, the frozen Jacobian says nothing about the end.
GROWTH = 8.0
# An ignition is predicted from the slope at the start; one that comes this much (in log y) too
# early means that the slope has changed, and the step is taken again.
EARLY = 3.0
# Below this norm of hJ a step is not stiff, and quintic Hermite interpolation beats the method's
# own dense output by an order; above it, Hermite would amplify what the step has damped.
STIFF = 4.0
# A first step of this length times the fastest rate cannot be refused for long, nor last.
FIRST_STEP = 0.1

DONE, TOO_MANY_STEPS, STEP_TOO_SMALL = 0, 1, 2


@compiled
def integrate(
    M: Array,
    r: Array,
    amplitudes: Array,
    L: float,
    penalty: float,
    outputs: Array,
    tolerance: float,
    weights: Array,
    floors: Array,
    ceilings: Array,
    max_steps: int,
) -> tuple[Array, Array, int, int, int, float]:
    """Return z and ρ at the outputs, the steps taken and refused, how it ended and where.

    `amplitudes` (2, d) are p±; a step is refused when its estimated error exceeds `tolerance` in ρ,
    or in `weights` times z; a coordinate is invisible while log y± ≤ `floors`, and a stage where
    log y± exceeds `ceilings` has left the solution.
    """
    d = r.size
    rho, z, move = np.zeros(d), np.zeros(d), np.zeros(d)
    x, size, slope = np.zeros(d), np.zeros(d), np.zeros(d)
    visible = np.zeros(d, np.int64)
    new_rho, new_x, new_size, new_slope = np.zeros(d), np.zeros(d), np.zeros(d), np.zeros(d)
    new_visible = np.zeros(d, np.int64)
    logs = np.zeros((2, d))
    block, K = np.zeros((d, d)), np.zeros((d + 3, d + 3))
    U, V = np.zeros((8, d)), np.zeros((8, d))
    z_out, rho_out = np.zeros((outputs.size, d)), np.zeros((outputs.size, d))

    s, end = 0.0, outputs[-1]
    taken, refused, status = 0, 0, DONE
    written = 1 if outputs[0] == 0.0 else 0

    m = evaluate(rho, 0.0, amplitudes, L, penalty, floors, logs, x, size, visible)
    h = predict(M, r, visible, m, x, logs, L, penalty, floors, end, slope)
    for a in range(m):
        i = visible[a]
        fastest = L * (abs(slope[i]) + penalty + M[i, i] * size[i])
        if h * fastest > FIRST_STEP:
            h = FIRST_STEP / fastest
    gather(M, visible, m, block)

    while s < end:
        if taken + refused >= max_steps:
            status = TOO_MANY_STEPS
            break
        last = s + h >= end * (1.0 - 1e-15)
        if last:
            h = end - s
        if h <= 4e-16 * s:
            status = STEP_TOO_SMALL
            break

        stiffness = linearise(block, size, visible, m, h * L, K)
        inside = take_stages(
            r, amplitudes, L, penalty, ceilings, s, h, rho, x, size, visible, m, K, U, V
        )
        if not inside:
            refused += 1
            h *= 0.25
            continue
        error = 0.0
        for a in range(m):
            error = max(error, abs(V[7, a]), weights[visible[a]] * abs(U[7, a]))
        error /= tolerance * (1.0 + penalty * s)
        if not error <= 1.0:
            refused += 1
            h *= max(0.1, 0.9 * min(error, 1e30) ** -0.2)
            continue

        for i in range(d):
            new_rho[i] = rho[i] + h * r[i]
        for a in range(m):
            move[a] = combine(U, a)
            subtract(new_rho, move[a], M[visible[a]])
        for a in range(m):
            new_rho[visible[a]] = rho[visible[a]] + combine(V, a)
        s_new = end if last else s + h
        new_m = evaluate(
            new_rho, s_new, amplitudes, L, penalty, floors, logs, new_x, new_size, new_visible
        )
        early = False
        for a in range(new_m):
            i = new_visible[a]
            if size[i] == 0.0 and max(logs[0, i], logs[1, i]) > floors[i] + EARLY:
                early = True
        if early:
            refused += 1
            h *= 0.5
            continue
        longest = predict(
            M, r, new_visible, new_m, new_x, logs, L, penalty, floors, end - s_new, new_slope
        )

        while written < outputs.size and outputs[written] <= s_new:
            theta = (outputs[written] - s) / h
            z_out[written] = z
            for i in range(d):
                rho_out[written, i] = rho[i] + theta * h * r[i]
            for a in range(m):
                i = visible[a]
                if stiffness < STIFF:
                    bend = L * (size[i] * slope[i] - penalty * x[i])
                    new_bend = L * (new_size[i] * new_slope[i] - penalty * new_x[i])
                    part = hermite(
                        theta, move[a], h * x[i], h * new_x[i], h * h * bend, h * h * new_bend
                    )
                else:
                    part = dense(theta, move[a], U, a)
                z_out[written, i] += part
                subtract(rho_out[written], part, M[i])
            if stiffness >= STIFF:
                for a in range(m):
                    part = dense(theta, combine(V, a), V, a)
                    rho_out[written, visible[a]] = rho[visible[a]] + part
            written += 1

        for a in range(m):
            z[visible[a]] += move[a]
        if new_m != m or not np.array_equal(visible[:m], new_visible[:m]):
            gather(M, new_visible, new_m, block)
        s, m = s_new, new_m
        rho, new_rho = new_rho, rho
        x, new_x = new_x, x
        size, new_size = new_size, size
        slope, new_slope = new_slope, slope
        visible, new_visible = new_visible, visible
        taken += 1
        # With nothing visible ρ is linear, and only the next ignition ends the step.
        h = longest if m == 0 else min(longest, h * min(8.0, 0.9 * max(error, 1e-12) ** -0.2))
    return z_out, rho_out, taken, refused, status, s


@compiled
def evaluate(
    rho: Array,
    s: float,
    amplitudes: Array,
    L: float,
    penalty: float,
    floors: Array,
    logs: Array,
    x: Array,
    size: Array,
    visible: Indices,
) -> int:
    """Write log y±, x and y₊ + y₋; list the visible coordinates and return their number m."""
    m = 0
    for i in range(rho.size):
        logs[0, i] = amplitudes[0, i] + L * (rho[i] - penalty * s)
        logs[1, i] = amplitudes[1, i] - L * (rho[i] + penalty * s)
        x[i] = 0.0
        size[i] = 0.0
        if max(logs[0, i], logs[1, i]) > floors[i]:
            plus, minus = np.exp(logs[0, i]), np.exp(logs[1, i])
            x[i] = plus - minus
            size[i] = plus + minus
            visible[m] = i
            m += 1
    return m


@compiled
def predict(
    M: Array,
    r: Array,
    visible: Indices,
    m: int,
    x: Array,
    logs: Array,
    L: float,
    penalty: float,
    floors: Array,
    longest: float,
    slope: Array,
) -> float:
    """Write dρ/ds; return the longest step, up to `longest`, that reaches no ignition."""
    slope[:] = r
    for a in range(m):
        subtract(slope, x[visible[a]], M[visible[a]])
    for i in range(r.size):
        for side in range(2):
            rate = L * ((1 - 2 * side) * slope[i] - penalty)
            if rate > 0.0:
                room = GROWTH
                if logs[side, i] <= floors[i]:
                    room = floors[i] - logs[side, i] + 0.5
                if rate * longest > room:
                    longest = room / rate
    return longest


@compiled
def gather(M: Array, visible: Indices, m: int, block: Array) -> None:
    for a in range(m):
        for c in range(m):
            block[a, c] = M[visible[a], visible[c]]


@compiled
def linearise(block: Array, size: Array, visible: Indices, m: int, hL: float, K: Array) -> float:
    """Write the Cholesky factor of 1 + hγ D^½ M_AA D^½ to K; return a norm of hJ."""
    norm = 0.0
    for a in range(m):
        left = np.sqrt(hL * size[visible[a]])
        row = 0.0
        for c in range(m):
            entry = left * block[a, c] * np.sqrt(hL * size[visible[c]])
            row += abs(entry)
            K[a, c] = GAMMA * entry
        K[a, a] += 1.0
        norm = max(norm, row)
    factorise(K, m)
    return norm


@compiled
def take_stages(
    r: Array,
    amplitudes: Array,
    L: float,
    penalty: float,
    ceilings: Array,
    s: float,
    h: float,
    rho: Array,
    x: Array,
    size: Array,
    visible: Indices,
    m: int,
    factor: Array,
    U: Array,
    V: Array,
) -> bool:
    """Write the stages U of z and V of ρ on the visible set; say whether all stayed in bounds.

    The equation of the stage, U = hγ (g + DV), gives V without a product by M: its rounding is 1/L
    times that of log y, however small y is.
    """
    b = np.zeros(m)
    for stage in range(8):
        now = s + TIMES[stage] * h
        for a in range(m):
            i = visible[a]
            position = rho[i]
            g = 0.0
            for j in range(stage):
                position += STAGES[stage, j] * V[j, a]
                g += COUPLING[stage, j] * U[j, a]
            plus = amplitudes[0, i] + L * (position - penalty * now)
            minus = amplitudes[1, i] - L * (position + penalty * now)
            if max(plus, minus) > ceilings[i]:
                return False
            g += h * (np.exp(plus) - np.exp(minus) - h * SLOPES[stage] * penalty * L * x[i])
            root = np.sqrt(L * size[i])
            b[a] = GAMMA * (g / root + RAMP[stage] * h * h * root * r[i])
            V[stage, a] = g
        solve(factor, b, m)
        for a in range(m):
            root = np.sqrt(L * size[visible[a]])
            U[stage, a] = root * b[a]
            V[stage, a] = (b[a] / GAMMA - V[stage, a] / root) / (h * root)
    return True


@compiled
def hermite(
    theta: float, move: float, slope: float, new_slope: float, bend: float, new_bend: float
) -> float:
    """Return the quintic that starts at 0, ends at `move`, with these derivatives at both ends."""
    other = 1.0 - theta
    return (
        theta**3 * (10.0 - 15.0 * theta + 6.0 * theta**2) * move
        + theta * other**3 * (1.0 + 3.0 * theta) * slope
        - other * theta**3 * (1.0 + 3.0 * other) * new_slope
        + 0.5 * theta**2 * other**3 * bend
        + 0.5 * other**2 * theta**3 * new_bend
    )


@compiled
def combine(U: Array, a: int) -> float:
    """Return what the stages U move in one step."""
    total = 0.0
    for stage in range(8):
        total += WEIGHTS[stage] * U[stage, a]
    return total


@compiled
def dense(theta: float, move: float, U: Array, a: int) -> float:
    """Return the method's own interpolant between 0 and `move`."""
    total = 0.0
    for row in (2, 1, 0):
        kappa = 0.0
        for stage in range(8):
            kappa += DENSE[row, stage] * U[stage, a]
        total = kappa + theta * total
    return theta * (move + (1.0 - theta) * total)


@compiled
def subtract(y: Array, c: float, column: Array) -> None:
    for j in range(y.size):
        y[j] -= c * column[j]


@compiled
def factorise(K: Array, m: int) -> None:
    """Overwrite the upper triangle of K[:m, :m] by R with K = RᵀR.

    In blocks of four by four, after bordering K by an identity up to a multiple of four: the update
    of the rest is the cost, and this way it loads half a number per multiplication.  Entries below
    the diagonal are scratch.
    """
    full = (m + 3) // 4 * 4
    for p in range(m, full):
        for i in range(full):
            K[i, p] = 0.0
            K[p, i] = 0.0
        K[p, p] = 1.0
    for k in range(0, full, 4):
        for p in range(k, k + 4):
            inverse = 1.0 / np.sqrt(K[p, p])
            for j in range(p, full):
                K[p, j] *= inverse
            for i in range(p + 1, k + 4):
                c = K[p, i]
                for j in range(i, full):
                    K[i, j] -= c * K[p, j]
        R0, R1, R2, R3 = K[k], K[k + 1], K[k + 2], K[k + 3]
        for i in range(k + 4, full, 4):
            K0, K1, K2, K3 = K[i], K[i + 1], K[i + 2], K[i + 3]
            a0, a1, a2, a3 = R0[i], R1[i], R2[i], R3[i]
            b0, b1, b2, b3 = R0[i + 1], R1[i + 1], R2[i + 1], R3[i + 1]
            c0, c1, c2, c3 = R0[i + 2], R1[i + 2], R2[i + 2], R3[i + 2]
            d0, d1, d2, d3 = R0[i + 3], R1[i + 3], R2[i + 3], R3[i + 3]
            for j in range(i, full):
                r0, r1, r2, r3 = R0[j], R1[j], R2[j], R3[j]
                K0[j] -= a0 * r0 + a1 * r1 + a2 * r2 + a3 * r3
                K1[j] -= b0 * r0 + b1 * r1 + b2 * r2 + b3 * r3
                K2[j] -= c0 * r0 + c1 * r1 + c2 * r2 + c3 * r3
                K3[j] -= d0 * r0 + d1 * r1 + d2 * r2 + d3 * r3


@compiled
def solve(R: Array, b: Array, m: int) -> None:
    """Overwrite b[:m] by the solution of RᵀR q = b."""
    for k in range(m):
        b[k] /= R[k, k]
        c = b[k]
        for j in range(k + 1, m):
            b[j] -= c * R[k, j]
    for k in range(m - 1, -1, -1):
        total = 0.0
        for j in range(k + 1, m):
            total += R[k, j] * b[j]
        b[k] = (b[k] - total) / R[k, k]
