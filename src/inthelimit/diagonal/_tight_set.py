"""Warm-started non-negative least squares on the tight set, for the limit process.

Minimises l(x) + λ|x|₁ subject to q_i x_i ≥ 0 on a set T of tight coordinates with signs q, and
x = 0 elsewhere.  The active-set method is Lawson and Hanson's; the Cholesky factor of M on the
support is carried from one knot to the next, so that a knot that adds one coordinate costs O(d²).
"""

from collections.abc import Iterable

import numpy as np
from scipy.linalg import solve_triangular

from inthelimit import ConvergenceError
from inthelimit._checks import Array
from inthelimit.quadratic import Quadratic

# Both after scaling M to unit diagonal.  Below this multiple of the terms it is the sum of, a
# residual r − Mx is rounding, and its sign means nothing; below the next of the largest entry, so
# is an entry of x.  The second is smaller, so that what it rounds to zero stays there.
RESIDUAL_TOLERANCE = 1e-12
ENTRY_TOLERANCE = 1e-13
# A squared pivot below this multiple of M_jj means that column j depends on the support.
PIVOT_TOLERANCE = 1e-11


class TightSetMinimiser:
    """The minimiser on a tight set, remembered together with the factor of M on its support."""

    def __init__(self, problem: Quadratic, penalty: float) -> None:
        d = problem.dimension
        self.M, self.r, self.penalty = problem.M, problem.r, penalty
        self.unit = np.sqrt(np.maximum(problem.M.diagonal(), 0.0))
        self.inverse_unit = np.divide(1.0, self.unit, out=np.zeros(d), where=self.unit > 0)
        self.force = np.abs(problem.r * self.inverse_unit).max()
        self.x = np.zeros(d)
        self.support: list[int] = []
        self._factor = np.zeros((d, d))

    def residual(self) -> tuple[Array, Array]:
        """Return r − Mx, and the size below which each entry of it is rounding."""
        support = self.support
        active = self.x[support]
        residual = self.r - self.M[:, support] @ active
        size = self.force + self.unit[support] @ np.abs(active)
        return residual, RESIDUAL_TOLERANCE * (self.unit * size + self.penalty)

    def minimise(self, tight: Iterable[int], signs: Array) -> None:
        """Move x to the minimiser on the tight set; x must be feasible for it."""
        waiting = [i for i in tight if i not in self.support]
        self._settle(signs)
        for _ in range(8 * self.r.size + 64):
            if not waiting:
                return
            residual, rounding = self.residual()
            gain = (signs * residual - self.penalty - rounding)[waiting]
            if gain.max() <= 0.0:
                return
            j = waiting.pop(int(gain.argmax()))
            before = list(self.support)
            if self._enter(j, signs):
                self._settle(signs)
            waiting += [i for i in before if i not in self.support]
        raise ConvergenceError(
            f"the active-set method did not settle on a tight set of {len(self.support)} "
            "coordinates: rescale the columns so that M has a comparable diagonal"
        )

    def _enter(self, j: int, signs: Array) -> bool:
        """Add j to the support; say whether it could be added."""
        while True:
            m, support = len(self.support), self.support
            row = self._forward(self.M[support, j])
            pivot = self.M[j, j] - row @ row
            if pivot > PIVOT_TOLERANCE * self.M[j, j]:
                self._factor[m, :m] = row
                self._factor[m, m] = np.sqrt(pivot)
                support.append(j)
                return True
            # Mδ = 0 along δ: l + λ|x|₁ decreases linearly until a coordinate reaches 0.
            direction = -signs[j] * self._backward(row)
            blocking = np.flatnonzero(direction * signs[support] < 0.0)
            if blocking.size == 0:
                return False
            steps = -self.x[support][blocking] / direction[blocking]
            first = int(steps.argmin())
            self.x[support] += steps[first] * direction
            self.x[j] += steps[first] * signs[j]
            self._leave(int(blocking[first]))

    def _settle(self, signs: Array) -> None:
        """Minimise on the support, dropping the coordinates that would change sign."""
        while self.support:
            support = self.support
            target = self._backward(self._forward(self.r[support] - self.penalty * signs[support]))
            scaled = target * self.unit[support]
            least = ENTRY_TOLERANCE * np.abs(scaled).max()
            wrong = np.flatnonzero(scaled * signs[support] <= least)
            if wrong.size == 0:
                self.x[support] = target
                return
            start = self.x[support]
            travel = np.abs(start[wrong]) + np.abs(target[wrong])
            steps = np.divide(
                np.abs(start[wrong]), travel, out=np.zeros(wrong.size), where=travel > 0
            )
            first = int(steps.argmin())
            self.x[support] = start + steps[first] * (target - start)
            self._leave(int(wrong[first]))

    def _leave(self, position: int) -> None:
        m = len(self.support)
        factor = self._factor
        lost = factor[position + 1 : m, position].copy()
        trailing = factor[position + 1 : m, position + 1 : m].copy()
        factor[position : m - 1, :position] = factor[position + 1 : m, :position]
        factor[position : m - 1, position : m - 1] = np.linalg.cholesky(
            trailing @ trailing.T + np.outer(lost, lost)
        )
        factor[m - 1, :m] = 0.0
        self.x[self.support.pop(position)] = 0.0

    def _forward(self, b: Array) -> Array:
        m = b.size
        if m == 0:
            return b
        y: Array = solve_triangular(self._factor[:m, :m], b, lower=True, check_finite=False)
        return y

    def _backward(self, b: Array) -> Array:
        m = b.size
        if m == 0:
            return b
        y: Array = solve_triangular(
            self._factor[:m, :m], b, lower=True, trans="T", check_finite=False
        )
        return y
