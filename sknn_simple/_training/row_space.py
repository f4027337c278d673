r"""Fewer rows than columns: train on coordinates in the space of the rows.

Let Z (n, p) be the transformed features in the units of the penalty, and Z = U S Vᵀ its
singular value decomposition of rank r ≤ n. The penalty is alpha/(2S) |ω|² with raw
outputs Z ω + b. At the minimum ω lies in the space of the rows, ω = V v, where

    Z ω = (U S) v,    |ω|² = |v|²

so J over r new features, the columns of U S, has the same values and the same minimum
(Hastie and Tibshirani 2004). The same is true of the weights of hidden units and of
skip connections. Without a penalty this v is the solution of minimum norm.
The evidence is the same too: the p - r directions that the rows do not determine
multiply it by 1.

The path to the minimum is another matter. For the linear network each column of U S is
divided by its deviation, so that the Hessian is near 1. For a hidden layer a path in
these coordinates ends in worse minima; with an orthonormal V and nothing divided it is
the path over all columns, without the part of the start that no row sees.

U and S² are the eigenvectors and eigenvalues of Z Zᵀ (n, n), and V = Zᵀ U S⁻¹ is never
formed.

References
----------
Hastie, T., Tibshirani, R. (2004). Efficient quadratic regularization for expression
arrays. Biostatistics 5(3), 329-340.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy import sparse

from sknn_simple._data.features import Features, equal_rows
from sknn_simple._data.row_blocks import DEFAULT_SIZES
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._model.linear_objective import LinearObjective
from sknn_simple._training.heuristics import (
    NO_CURVATURE,
    ROW_SPACE_ROWS,
    ROW_SPACE_SPREAD,
    SAME_VALUE,
    row_space_limit,
)
from sknn_simple._training.problem import Columns, TrainingProblem, build_problem
from sknn_simple._training.spec import TrainSpec


def few_distinct_rows(
    spec: TrainSpec, X: Features
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return ``equal_rows(X)``; None if training does not use the space of the rows.

    With early stopping the validation rows have no coordinates in their space. Without
    standardising, a hidden layer would get coordinates in very different units.
    """
    is_linear = spec.network.is_linear
    if spec.is_bounded or spec.patience is not None:
        return None
    if not (is_linear or spec.standardize):
        return None
    return equal_rows(X, row_space_limit(X.shape[1], is_linear=is_linear))


def in_row_space(problem: TrainingProblem) -> TrainingProblem:
    """Return the problem in coordinates of the row space, if that is smaller."""
    spec = problem.spec
    rows = few_distinct_rows(spec, problem.data.X)
    if rows is None or _spread(problem) > ROW_SPACE_SPREAD:
        return problem
    first, number = rows
    space = _RowSpace(problem, first)
    if not space.features.size:  # all columns are constant
        return problem
    data = _merged(problem.data, space.features, number)
    network = replace(spec.network, n_features=data.X.shape[1])
    inner = spec._replace(
        network=network,
        standardize=False,
        signs=np.zeros(network.layout.size),
        # The probes of an estimate would depend on the basis, which rounding rotates.
        thresholds=spec.thresholds._replace(evidence_params=ROW_SPACE_ROWS),
    )
    columns = None
    if not network.is_linear:  # they are neither shifted nor divided
        zeros = np.zeros(data.X.shape[1])
        columns = Columns(zeros, zeros + 1.0, zeros)
    workers = problem.objective.workers
    reduced = build_problem(inner, data, workers, columns=columns)
    return reduced._replace(
        input_map=_RowSpaceMap(space, reduced),
        unit=problem.unit,
        dtype=problem.dtype,
        whole=problem,
    )


def start_in_row_space(problem: TrainingProblem, start: np.ndarray) -> np.ndarray:
    """Return the part of a random start that the rows see.

    `start` and the result are in the coordinates u of the diagonal preconditioners.
    """
    rows, whole = problem.input_map, problem.whole
    assert isinstance(rows, _RowSpaceMap)
    assert whole is not None
    theta = rows.from_theta(whole.diagonal.to_theta(start))
    return problem.diagonal.from_theta(theta)


def _column_unit(problem: TrainingProblem) -> np.ndarray:
    """Return the factor of each column's weights in the penalty; 0 if constant."""
    network = problem.objective.network
    (weights, _), *_ = network.input_weights
    return network.layout.views(problem.penalty_unit)[weights][:, 0]


def _spread(problem: TrainingProblem) -> float:
    """Return the ratio of the largest and the smallest unit of the penalty."""
    unit = _column_unit(problem)
    unit = unit[unit > 0.0]
    return float(unit.max() / unit.min()) if unit.size else 1.0


def _merged(data: TrainingSet, features: np.ndarray, number: np.ndarray) -> TrainingSet:
    """Return each pair of distinct features and targets once, with its total weight.

    A row of weight 2 is then the same as two equal rows in every choice by shape, too.
    `number` is that of each row's features.
    """
    pairs = equal_rows(np.column_stack([number, data.y]))
    assert pairs is not None
    first, pair = pairs
    weight = np.bincount(pair, data.weight)
    return data._replace(X=features[number[first]], y=data.y[first], weight=weight)


def minimum_norm(problem: TrainingProblem, theta: np.ndarray) -> np.ndarray:
    """Return the θ of minimum norm with the same raw outputs, for alpha = 0.

    Dependent columns leave a part of the weights open, in which a solver ends anywhere.
    Its projection on the space of the rows is the smallest, in units of the penalty.
    """
    unit = _column_unit(problem)
    no_limit = problem.spec.network.is_linear and problem.bounds is None
    if not no_limit or len(unit) > ROW_SPACE_ROWS:
        return theta
    J = problem.linear
    varying = np.flatnonzero(unit)
    gram = np.sum(J.each(_gram, varying), axis=0)
    values, vectors = np.linalg.eigh(gram)
    null = vectors[:, values <= NO_CURVATURE * values[-1:]]
    if not null.size:
        return theta
    shortest = theta.copy()
    coef = J.network.layout.views(shortest)["coef"]
    scale = unit[varying, None] / unit.max()
    along = np.linalg.lstsq(scale * null, scale * coef[varying], rcond=None)[0]
    coef[varying] -= null @ along
    # Nearly dependent columns may be independent after all.
    value = J.value(theta)
    same = abs(J.value(shortest) - value) <= SAME_VALUE * value
    return shortest if same else theta


def _gram(J: LinearObjective, columns: np.ndarray) -> np.ndarray:
    """Return Zᵀ W Z of some of the transformed columns."""
    gram = np.zeros((len(columns), len(columns)))
    for block in J.blocks.blocks:
        Z = J.dense(J.blocks.features(block, J.workspace))[:, columns]
        gram += Z.T @ (block.weight[:, None] * Z)
    return gram


class _RowSpace:
    """The coordinates U S of some rows; `problem` is that over all columns."""

    def __init__(self, problem: TrainingProblem, rows: np.ndarray) -> None:
        self.problem = problem
        X = problem.data.X
        X = X if len(rows) == X.shape[0] else X[rows]  # without a copy, if it can be
        self._X = X.tocsc() if sparse.issparse(X) else X
        self._unit = unit = _column_unit(problem)
        # Constant columns have unit 0, and no part in the penalty or in the outputs.
        self._inverse = np.divide(1.0, unit, out=np.zeros_like(unit), where=unit > 0.0)
        gram = np.zeros((X.shape[0], X.shape[0]))
        for _, Z in self._blocks():
            gram += Z @ Z.T
        values, vectors = np.linalg.eigh(gram)
        kept = (values > NO_CURVATURE * values[-1]) & (values > 0.0)
        vectors, root = vectors[:, kept], np.sqrt(values[kept])
        # LAPACK's signs depend on the order of the rows.
        vectors *= np.where(np.sum(vectors**3, axis=0) < 0.0, -1.0, 1.0)
        self.features = vectors * root
        # From coordinates to coefficients of the rows, U S⁻¹.
        self._inverted = vectors / root

    def _blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield the columns of Z in blocks that fit the cache.

        Z may be much larger than sparse X, and is transformed in several passes.
        """
        n_rows, n_columns = self._X.shape
        step = max(1, int(DEFAULT_SIZES.block_bytes) // (8 * n_rows))
        transform = self.problem.transform
        for start in range(0, n_columns, step):
            part = slice(start, start + step)
            Z = transform.of(part).dense(self._X[:, part])
            yield part, Z * self._inverse[part]

    def to_weights(self, v: np.ndarray) -> np.ndarray:
        """Return the weights θ (p, K) of all columns: V v over the units."""
        coefficients = self._inverted @ v
        weights = np.empty((self._X.shape[1], v.shape[1]))
        for part, Z in self._blocks():
            weights[part] = Z.T @ coefficients
        return weights * self._inverse[:, None]

    def from_weights(self, weights: np.ndarray) -> np.ndarray:
        """Return Vᵀ ω, the coordinates of weights in the row space, (r, K)."""
        raw = np.zeros((self._X.shape[0], weights.shape[1]))
        scaled = self._unit[:, None] * weights
        for part, Z in self._blocks():
            raw += Z @ scaled[part]
        return self._inverted.T @ raw


class _RowSpaceMap:
    """The map from θ of the reduced problem to parameters for raw features."""

    def __init__(self, space: _RowSpace, reduced: TrainingProblem) -> None:
        self._space, self._inner = space, reduced.input_map
        network = reduced.objective.network
        self._layout = network.layout
        names = [weights for weights, _ in network.input_weights]
        self._names = [name for name in names if name in self._layout.shapes]

    def to_raw(self, theta: np.ndarray) -> np.ndarray:
        """Return θ as parameters for all raw columns."""
        outer = self._space.problem
        arrays = dict(self._layout.views(self._inner.to_raw(theta)))
        for name in self._names:
            arrays[name] = self._space.to_weights(arrays[name])
        return outer.input_map.to_raw(outer.objective.network.layout.pack(arrays))

    def from_raw(self, raw: np.ndarray) -> np.ndarray:
        """Return the part of raw parameters in the space of the rows, as θ."""
        return self.from_theta(self._space.problem.input_map.from_raw(raw))

    def from_theta(self, theta: np.ndarray) -> np.ndarray:
        """Return the part of θ of all columns in the space of the rows."""
        arrays = dict(self._space.problem.objective.network.layout.views(theta))
        for name in self._names:
            arrays[name] = self._space.from_weights(arrays[name])
        return self._inner.from_raw(self._layout.pack(arrays))
