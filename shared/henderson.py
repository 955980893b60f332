"""Henderson's equations solved at given variances: one random factor eliminated, the other factorised.

The factor with more levels, ``inner``, is eliminated (its block is diagonal); what is left has the levels of the other,
``outer``. Nothing is divided by tau or phi_s2s, so that they may be nil (as in Bates et al. 2015, doi
10.18637/jss.v067.i01). Gradient and average information: Gilmour, Thompson and Cullis (1995), doi 10.2307/2533274.

With V the covariance of y, A = outerᵀ R⁻¹ inner (R the records' variances), and G what the elimination leaves of
outerᵀ R⁻¹ outer: V⁻¹ follows from R⁻¹ by two updates of low rank, first the inner factor, then the outer one.
"""

from typing import TYPE_CHECKING

import numpy as np
from scipy import linalg, sparse

if TYPE_CHECKING:
    from shared.mixed_model import MixedModel

CHUNK = 2**22  # numbers; prediction errors of the eliminated factor are worked out in pieces of so many


class State:
    """Everything at one set of parameters; V is the covariance of y, P = V⁻¹ less the fixed part."""

    def __init__(self, model: "MixedModel", theta: np.ndarray):
        self.model = model
        (_, self.a, self.a_dots), (_, self.d, self.d_dots), (_, self.record, self.r_dots) = model.places(theta)
        self.w = 1.0 / self.record
        # records' weights by level: they are constant within events, whichever factor is eliminated
        ones_in, ones_out = np.ones(model.n_inner), np.ones(model.n_outer)
        if model.record_event is None:
            self.left_scale, self.right_scale = ones_out * self.w[0], ones_in
        elif model.outer == "event":
            self.left_scale, self.right_scale = self._by_level(self.w, model.out_code, model.n_outer), ones_in
        else:
            self.left_scale, self.right_scale = ones_out, self._by_level(self.w, model.in_code, model.n_inner)
        self.b = model.in_sum @ self.w
        self.pivot = 1.0 + self.a * self.b
        self.q = self.a / self.pivot
        self.gram = model.gram.of(self.q * self.right_scale**2)
        self.g = -self.left_scale[:, None] * self.gram * self.left_scale
        self.g[np.diag_indices(model.n_outer)] += model.out_sum @ self.w
        self._factorise()
        self._solve_fixed()

    @staticmethod
    def _by_level(values: np.ndarray, code: np.ndarray, count: int) -> np.ndarray:
        found = np.empty(count)
        found[code] = values
        return found

    def _factorise(self) -> None:
        """(D⁻¹ + G)⁻¹ as D^½ (I + D^½ G D^½)⁻¹ D^½, which knows no division by D."""
        root = np.sqrt(self.d)
        h = root[:, None] * self.g * root
        h[np.diag_indices(len(h))] += 1.0
        if len(h):
            factor, failed = linalg.lapack.dpotrf(h, lower=1, clean=1)
            if failed:
                raise np.linalg.LinAlgError("the mixed-model equations are not positive definite")
            self.log_det_outer = 2.0 * np.log(np.diag(factor)).sum()
            inverse, _ = linalg.lapack.dpotri(factor, lower=1)
            self.h_inverse = inverse + inverse.T
            self.h_inverse[np.diag_indices(len(h))] *= 0.5
        else:
            self.log_det_outer, self.h_inverse = 0.0, h
        self.shrink = root[:, None] * self.h_inverse * root

    def _solve(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Terms (inner, C) and (outer, C) predicted from each of ``columns`` (N, C) as if it were y without bias."""
        model, weighted = self.model, self.w[:, None] * columns
        inner, outer = model.in_sum @ weighted, model.out_sum @ weighted
        crossed = model.counts @ ((self.right_scale * self.q)[:, None] * inner)
        u = self.shrink @ (outer - self.left_scale[:, None] * crossed)
        back = self.right_scale[:, None] * (model.counts_t @ (self.left_scale[:, None] * u))
        return self.q[:, None] * (inner - back), u

    def _right(self, columns: np.ndarray, inner: np.ndarray, outer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the terms leave of the columns, and V⁻¹ columns."""
        left = columns.copy()
        if self.model.in_code is not None:
            left -= inner[self.model.in_code]
        if self.model.out_code is not None:
            left -= outer[self.model.out_code]
        return left, self.w[:, None] * left

    def _solve_fixed(self) -> None:
        model = self.model
        columns = np.column_stack([model.x, model.y])
        inner, outer = self._solve(columns)
        left, right = self._right(columns, inner, outer)
        self.right_x = right[:, :-1]  # V⁻¹ X
        normal = model.x.T @ self.right_x
        factor = linalg.cho_factor(normal, lower=True)
        self.log_det_fixed = 2.0 * np.log(np.diag(factor[0])).sum()
        self.fixed_covariance = linalg.cho_solve(factor, np.eye(len(normal)))
        self.fixed = linalg.cho_solve(factor, self.right_x.T @ model.y)
        weights = np.append(-self.fixed, 1.0)
        self.inner_terms, self.outer_terms, self.left = inner @ weights, outer @ weights, left @ weights
        self.residual_right = self.w * self.left  # P y

    def _crossed_trace(self, m: np.ndarray) -> float:
        """Trace of (D⁻¹ + G)⁻¹ m."""
        return float(np.einsum("ij,ij->", self.shrink, m))

    def derivatives(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For each parameter, inner first, then outer, then record, with V̇ the derivative of V:

        trace of V⁻¹ V̇ (of P V̇ where restricted), yᵀ P V̇ P y, and V̇ P y (N, Q).
        """
        model, py = self.model, self.residual_right
        traces, squares, working = [], [], []
        in_py, out_py = model.in_sum @ py, model.out_sum @ py
        in_x, out_x = model.in_sum @ self.right_x, model.out_sum @ self.right_x
        scale = self.left_scale[:, None] * self.left_scale
        crossed = self.right_scale**2 / self.pivot**2
        for dot in self.a_dots:
            trace = dot @ (self.b / self.pivot) - self._crossed_trace(scale * model.gram.of(dot * crossed))
            traces.append(trace - self._leverage(in_x, dot))
            squares.append(dot @ in_py**2)
            working.append((dot * in_py)[model.in_code])
        diagonal = self._outer_diagonal() if self.d_dots else None
        for dot in self.d_dots:
            traces.append(dot @ diagonal - self._leverage(out_x, dot))
            squares.append(dot @ out_py**2)
            working.append((dot * out_py)[model.out_code])
        for k, dot in enumerate(self.r_dots):
            if len(self.r_dots) == 1:  # V = Σ theta V̇, where nothing depends on magnitude
                rank = len(py) - (model.x.shape[1] if model.restricted else 0)
                known = [v[0] for v, dots in ((self.a, self.a_dots), (self.d, self.d_dots)) if dots]
                traces.append((rank - np.dot(known, traces)) / self.record[0])
            else:
                traces.append(self._record_trace(k) - self._leverage(self.right_x, dot))
            squares.append(dot @ py**2)
            working.append(dot * py)
        return np.array(traces), np.array(squares), np.column_stack(working)

    def _leverage(self, right_x: np.ndarray, dot: np.ndarray) -> float:
        if not self.model.restricted:
            return 0.0
        return float(dot @ np.einsum("ij,ij->i", right_x @ self.fixed_covariance, right_x))

    def _outer_diagonal(self) -> np.ndarray:
        """Diagonal of Zᵀ V⁻¹ Z of the outer factor."""
        root = np.sqrt(self.d)
        root = root / root.max() if root.max() > 0 else np.ones_like(root)
        return np.einsum("ij,ij->i", self.h_inverse * root, self.g) / root  # both are symmetric

    def _record_trace(self, k: int) -> float:
        """Trace of V⁻¹ V̇ for the k-th parameter of the records' variance: the derivative of ln |V|."""
        model, dot = self.model, self.r_dots[k]
        w_dot = -dot * self.w**2
        b_dot = model.in_sum @ w_dot
        q_dot = -(self.q**2) * b_dot
        left_dot, right_dot = np.zeros(model.n_outer), np.zeros(model.n_inner)
        if model.outer == "event":
            left_dot = self._by_level(w_dot, model.out_code, model.n_outer)
        else:
            right_dot = self._by_level(w_dot, model.in_code, model.n_inner)
        turned = left_dot[:, None] * self.left_scale
        g_dot = -(turned + turned.T) * self.gram
        of_q = model.gram.of(q_dot * self.right_scale**2 + 2.0 * self.q * self.right_scale * right_dot)
        g_dot -= self.left_scale[:, None] * of_q * self.left_scale
        g_dot[np.diag_indices(model.n_outer)] += model.out_sum @ w_dot
        return float(dot @ self.w + self.q @ b_dot + self._crossed_trace(g_dot))

    def between(self, columns: np.ndarray) -> np.ndarray:
        """columnsᵀ P columns."""
        _, right = self._right(columns, *self._solve(columns))
        fixed = self.model.x.T @ right
        return columns.T @ right - fixed.T @ self.fixed_covariance @ fixed

    def prediction_errors(self) -> tuple[np.ndarray, np.ndarray]:
        """Standard errors of prediction of the inner and the outer terms: from the inverse of Henderson's equations."""
        model, size = self.model, max(1, CHUNK // max(1, self.model.n_outer))
        diagonal = self.b / self.pivot
        back = sparse.diags_array(self.right_scale / self.pivot) @ model.counts_t
        back = (back @ sparse.diags_array(self.left_scale)).tocsr()  # (inner, outer)
        for begin in range(0, model.n_inner if model.n_outer else 0, size):
            part = back[begin : begin + size]
            diagonal[begin : begin + size] -= np.asarray(part.multiply(part @ self.shrink).sum(axis=1)).ravel()
        errors = []
        for variance, of_v, indicator in (
            (self.a, diagonal, model.in_sum),
            (self.d, self._outer_diagonal() if model.n_outer else np.zeros(0), model.out_sum),
        ):
            by_level = indicator @ self.right_x
            of_p = of_v - np.einsum("ij,ij->i", by_level @ self.fixed_covariance, by_level)
            errors.append(np.sqrt(np.maximum(variance * (1.0 - variance * of_p), 0.0)))
        return errors[0], errors[1]


class Gram:
    """``counts diag(q) countsᵀ`` (outer, outer) for any ``q`` (inner,): from a list of pairs, or dense."""

    def __init__(self, counts: sparse.csr_array):
        outer, inner = counts.shape
        by_inner = counts.tocsc()
        length = np.diff(by_inner.indptr)
        self.dense = None
        if (length.astype(float) ** 2).sum() > outer**2 * inner / 20.0:
            self.dense = counts.toarray()
            return
        row, column, value, level = [], [], [], []
        for size in np.unique(length[length > 0]):  # levels of the same number of partners together
            levels = np.flatnonzero(length == size)
            cells = by_inner.indptr[levels][:, None] + np.arange(size)
            index, count = by_inner.indices[cells], by_inner.data[cells]
            row.append(np.repeat(index, size, axis=1).ravel())
            column.append(np.tile(index, size).ravel())
            value.append((count[:, :, None] * count[:, None, :]).ravel())
            level.append(np.repeat(levels, size * size))
        none = [np.zeros(0, dtype=int)]
        row, column, level = (np.concatenate(none + part).astype(np.int64) for part in (row, column, level))
        self.position, pair = np.unique(row * outer + column, return_inverse=True)
        self.matrix = sparse.csr_array(
            (np.concatenate([np.zeros(0), *value]), (pair, level)), shape=(len(self.position), inner)
        )
        self.outer = outer

    def of(self, q: np.ndarray) -> np.ndarray:
        """The matrix for ``q`` (inner,)."""
        if self.dense is not None:
            return (self.dense * q) @ self.dense.T
        found = np.zeros(self.outer**2)
        found[self.position] = self.matrix @ q
        return found.reshape(self.outer, self.outer)


def indicator(code: np.ndarray | None, count: int, n: int) -> sparse.csr_array:
    """The matrix (count, N) that sums over the records of each level."""
    if code is None:
        return sparse.csr_array((0, n))
    return sparse.csr_array((np.ones(n), (code, np.arange(n))), shape=(count, n))
