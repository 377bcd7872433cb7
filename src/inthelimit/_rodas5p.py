"""The Rosenbrock method Rodas5P, and interpolation within a step.

Rodas5P (G. Steinebach, BIT Numerical Mathematics 63, article 27, 2023) has order 5 with an embedded
method of order 4, eight stages, is L-stable and stiffly accurate, and comes with its own dense
output of order 4.
"""

import numpy as np

from inthelimit._checks import Array
from inthelimit._compiled import compiled

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

# Below this norm of hJ a step is not stiff, and quintic Hermite interpolation beats the method's
# own dense output by an order; above it, Hermite would amplify what the step has damped.
STIFF = 4.0


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
