"""Cholesky factorisation of small dense matrices, inside compiled kernels."""

import numpy as np

from inthelimit._checks import Array
from inthelimit._compiled import compiled


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
