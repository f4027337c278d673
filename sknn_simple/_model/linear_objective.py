"""The objective of the linear network: convex, with an explicit Hessian.

The Hessian of the loss is Xᵀ C X; C holds wᵢ ∂²ℓ/∂zᵢ² of every row. The features are
centred and scaled before they are multiplied, because the Gram matrix of raw features
loses a factor (mean/deviation)² of its precision.
"""

from functools import cached_property
from typing import TypeGuard

import numpy as np

from sknn_simple._data.features import Features
from sknn_simple._data.row_blocks import Block
from sknn_simple._model.objective import Curvature, Objective

# Rows that are multiplied at a time for a block of the Hessian. With 256 rows 784
# columns take 1.7 times as long, because more products are added. 4096 gain nothing.
GATHERED_ROWS = 1024


class LinearObjective(Objective):
    """J of the linear network.

    The search for alpha asks again for the loss at the last iterate, and each of its
    rounds begins where the last step of the round before was evaluated.
    """

    kept_points = 4

    def curvature(self, theta: np.ndarray) -> "LinearCurvature":
        return LinearCurvature(self, theta)

    def dense(self, X: Features) -> np.ndarray:
        """Return the transformed features of a block as a dense array."""
        return X if self.folded is None else self.folded.dense(X)


def is_linear(objective: Objective) -> TypeGuard[LinearObjective]:
    return objective.network.is_linear


class LinearCurvature(Curvature):
    """The second derivatives of J at one θ.

    For products the probabilities, (n_rows, K), are computed once, so that each takes
    one pass over X.
    """

    @cached_property
    def _probability(self) -> np.ndarray:
        J = self._objective
        probability = np.empty((J.blocks.n_rows, J.network.n_outputs), order="F")

        def fill(block: Block) -> None:
            X = J.blocks.features(block, J.workspace)
            probability[block.rows] = self._probability_of(X)

        J.blocks.for_each(fill, J.workers)
        return probability

    def _probability_of(self, X: Features) -> np.ndarray:
        J = self._objective
        return J.loss.probabilities(J.network.forward(self._params, X, J.workspace))

    def product(self, v: np.ndarray) -> np.ndarray:
        """Return the Hessian times v: Xᵀ C (X v) + ρ² v."""
        J, P = self._objective, self._probability
        direction = J.params(v)

        def term(block: Block, total: np.ndarray) -> float:
            X = J.blocks.features(block, J.workspace)
            tangent = J.network.forward(direction, X, J.workspace)
            J.loss.curvature_product(P[block.rows], block.loss_weight, tangent)
            J.network.backward(direction, X, tangent, (), J.views(total))
            return 0.0

        _, product = J.blocks.sum(term, (J.size,), J.workers)
        return J.pull_back(product) + J.penalty_root**2 * v

    def bias_product(self, v: np.ndarray) -> np.ndarray:
        """Return the entries of the K biases in the Hessian times v, (K,).

        That is 1ᵀ C (X v) + ρ² v, without the pass back to the weights.
        """
        J, P = self._objective, self._probability
        direction, biases = J.params(v), J.network.layout.slices["intercept"]

        def term(block: Block, total: np.ndarray) -> float:
            X = J.blocks.features(block, J.workspace)
            tangent = J.network.forward(direction, X, J.workspace)
            J.loss.curvature_product(P[block.rows], block.loss_weight, tangent)
            total += tangent.sum(axis=0)
            return 0.0

        _, product = J.blocks.sum(term, (J.network.n_outputs,), J.workers)
        return product + J.penalty_root[biases] ** 2 * v[biases]

    def bias_block(self) -> np.ndarray:
        """Return the block of the K biases in the Hessian, (K, K)."""
        J, P = self._objective, self._probability
        n_outputs = J.network.n_outputs

        def term(block: Block, total: np.ndarray) -> float:
            factors = J.loss.covariance_factors(P[block.rows], block.loss_weight)
            diagonal, root = factors
            total += np.diag(diagonal.sum(axis=0))
            if root is not None:
                total -= root.T @ root
            return 0.0

        _, total = J.blocks.sum(term, (n_outputs, n_outputs), J.workers)
        if J.loss.shift_invariant:
            # Each row sums to 0. If nearly all rows of X are saturated, p - p² would be
            # rounding.
            np.fill_diagonal(total, 0.0)
            np.fill_diagonal(total, -total.sum(axis=1))
        biases = J.network.layout.slices["intercept"]
        return total + np.diag(J.penalty_root[biases] ** 2)

    def matrix(self) -> np.ndarray:
        """Return the Hessian, (size, size).

        In the order of the parameters: (p, K) weights in C order, then the biases.
        """
        J = self._objective
        n_outputs = J.network.n_outputs
        q = J.size // n_outputs

        def term(block: Block, total: np.ndarray) -> float:
            X = J.blocks.features(block, J.workspace)
            P = self._probability_of(X)
            factors = J.loss.covariance_factors(P, block.loss_weight)
            self._add_rows(total, J.dense(X).T, *factors)
            return 0.0

        # With several outputs there is also the product for all pairs of outputs.
        per_row = (J.size if n_outputs > 1 else q) ** 2 / 2
        work = per_row * J.blocks.n_rows
        _, total = J.blocks.sum(term, (q, n_outputs, q, n_outputs), J.workers, work)
        if J.loss.shift_invariant:
            # The blocks of each output sum to 0. 100 × 13 with 3 outputs takes 0.65 of
            # the time of K products for the diagonal blocks, w p xxᵀ - w p² xxᵀ, which
            # would be rounding if nearly all rows are saturated.
            outputs = np.arange(n_outputs)
            total[:, outputs, :, outputs] = 0.0
            total[:, outputs, :, outputs] = -total.sum(axis=3).swapaxes(0, 1)
        hessian = total.reshape(J.size, J.size)
        diagonal = total.reshape(-1)[:: J.size + 1]
        diagonal += J.penalty_root**2
        return hessian

    def _add_rows(
        self,
        total: np.ndarray,
        columns: np.ndarray,
        diagonal: np.ndarray,
        root: np.ndarray | None,
    ) -> None:
        """Add Xᵀ C X of some rows to `total`, (q, K, q, K); `columns` is Xᵀ, (p, m).

        C of every row is diag(d) - r rᵀ, with `diagonal` d and `root` r both (m, K). If
        there is an r, the outputs' diagonal blocks are left to ``matrix``.
        """
        q, n_outputs = total.shape[:2]
        n_columns, n_rows = columns.shape
        # BLAS computes a product with its own transpose in half of the time (syrk).
        if root is not None:
            spread = np.empty((q, n_outputs, n_rows))
            np.multiply(columns[:, None], root.T, out=spread[:n_columns])
            spread[n_columns:] = root.T
            spread = spread.reshape(q * n_outputs, -1)
            matrix = total.reshape(q * n_outputs, -1)
            matrix -= spread @ spread.T
            return
        weighted = self._objective.workspace.array(
            "weighted", (q, n_rows), diagonal.dtype
        )
        for k, factor in enumerate(np.sqrt(diagonal.T)):
            np.multiply(columns, factor, out=weighted[:n_columns])
            weighted[n_columns:] = factor
            total[:, k, :, k] += weighted @ weighted.T

    def diagonal_blocks(self, part: float = 1.0) -> np.ndarray:
        """Return the diagonal block of each output of the Hessian, (K, q, q).

        They need K products; the Hessian needs K + K²/2. If `part` is less than 1, they
        use only the rows that hold this fraction of an output's curvature.
        """
        J = self._objective
        curvature = self.by_row()
        n_outputs = J.network.n_outputs
        q = J.size // n_outputs
        blocks = np.zeros((n_outputs, q, q))

        def form(k: int) -> None:
            heavy = np.flatnonzero(_heaviest(curvature[:, k], part))
            for start in range(0, len(heavy), GATHERED_ROWS):
                rows = heavy[start : start + GATHERED_ROWS]
                root = np.sqrt(curvature[rows, k])[:, None]
                X = J.dense(J.blocks.chosen_features(rows))
                weighted = np.hstack([X * root, np.tile(root, q - X.shape[1])])
                blocks[k] += weighted.T @ weighted

        J.workers.run(form, n_outputs)
        inner = np.arange(q)
        blocks[:, inner, inner] += (J.penalty_root**2).reshape(q, n_outputs).T
        return blocks

    def by_row(self) -> np.ndarray:
        """Return wᵢ ∂²ℓ/∂zᵢₖ² of every row and output, (n_rows, K)."""
        J = self._objective
        diagonal, root = J.loss.covariance_factors(
            self._probability, J.blocks.loss_weight
        )
        return diagonal if root is None else np.maximum(diagonal - root * root, 0.0)


def _heaviest(weight: np.ndarray, part: float) -> np.ndarray:
    """Return the mask of the heaviest rows that hold this fraction of all weight."""
    ascending = np.sort(weight)
    sums = np.cumsum(ascending)
    lightest = ascending[np.searchsorted(sums, (1.0 - part) * sums[-1])]
    return weight >= lightest
