"""LogisticNN, the single-layer network."""

from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from sknn_simple._base import BaseNN
from sknn_simple._data.moments import constant_column, first_constant
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._input.monotonic import feature_signs
from sknn_simple._input.parameters import Options, explains_names
from sknn_simple._model.networks import LinearNetwork
from sknn_simple._optim.minimize import SOLVERS
from sknn_simple._training.alpha import Fold, Search
from sknn_simple._training.callbacks import FitTask
from sknn_simple._training.heuristics import (
    alpha_bounds,
    first_alpha,
    row_space_limit,
)
from sknn_simple._training.spec import TrainSpec, check_solver
from sknn_simple._training.train import Trained, train


class LogisticNN(BaseNN):
    r"""Single-layer network: logistic regression, and softmax regression.

    A network without a hidden layer computes raw outputs :math:`z = W x + b` from the
    features :math:`x`. The probability is :math:`\sigma(z) = 1/(1 + e^{-z})` for two
    classes (one output) and for each label of a multilabel target, and
    :math:`\mathrm{softmax}(z)_k = e^{z_k} / \sum_j e^{z_j}` for three or more classes.
    Training minimises

    .. math::

        J(W, b) = \frac{1}{S} \sum_i s_i\, \ell(y_i, z_i)
        + \frac{\alpha}{2S} \sum w^2, \qquad S = \sum_i s_i

    with :math:`\ell` the log-loss and :math:`s_i` the sample weights. J is convex, so
    all solvers lead to the same model. ``alpha`` is ``1/C`` of
    :class:`~sklearn.linear_model.LogisticRegression`.

    ``alpha="auto"`` chooses alpha from the data, without a validation set. The penalty
    is a Gaussian prior of variance :math:`1/\alpha` on each weight. The evidence is the
    probability of the labels, averaged over this prior. Around the minimum of J, at
    weights w, Laplace's approximation of it is

    .. math::

        \log p(y \mid \alpha) = -S J + \frac{d}{2} \log \alpha
        - \frac{1}{2} \log \left|A + \alpha I\right| + \mathrm{const}

    where d is the number of weights and A, of shape (d, d), the Hessian of the loss
    S (J without the penalty) in the weights, after the biases are eliminated. alpha
    solves

    .. math::

        \alpha \sum w^2 = \gamma - c\, \kappa + \frac{1}{1 + \alpha}, \qquad
        \gamma = \mathrm{tr}\, A (A + \alpha I)^{-1}

    with :math:`\gamma`, between 0 and d, the number of weights that the data determine,
    and :math:`\kappa` the derivative of :math:`\log \left|A + \alpha I\right|` by
    :math:`\log \alpha` that is due to the change of A. c is :math:`0.4 + 0.6 \min(d, S)
    / (S + 2K + 16)` for K classes, 2 for labels (measured). With c = 1 and without the
    last term the evidence has its maximum; c = 0 is the condition of MacKay (1992;
    Bishop 2006, sections 4.4 and 5.7). The last term is that of a weak prior on alpha
    (Gelman 2006), which counts if there are few rows; with ``standardize=False`` its α
    is in units of the squared median deviation of the columns. J is minimised for one
    alpha after the other until alpha changes by less than 3 %, which takes two to six
    rounds on most tables; alpha then has two digits. If ``fit`` is given ``X_val``,
    these rows choose alpha instead.

    Read more in the :ref:`User Guide <guide_logistic>`.

    Parameters
    ----------
    alpha : float or "auto", default="auto"
        Strength of the penalty on the weights; 0 for no penalty. Biases are not
        penalised. "auto" chooses it by the evidence (see above). The evidence counts S
        rows. If the mean weight (with those of classes, but not those of labels) is
        below 1, weights are divided by it, so that only their ratios matter.
    fit_intercept : bool, default=True
        Whether there is a bias b. Without it the raw output is 0 at x = 0. If it is
        False and X has a constant column, as design matrices of formulas have, the
        weight of this column is the bias: it is not penalised (unless ``standardize``
        is False, where J is that of LogisticRegression).
    standardize : bool, default=True
        Whether the penalty is on the weights of standardised features. If True,
        predictions do not depend on the unit of a column, nor, with an intercept, on
        its origin, and a constant column gets weight 0. A column whose values
        differ by rounding only is constant. The unit of a column is its
        weighted standard deviation. If it has only two values, in rows of positive
        weight, it is half their distance, so that rare categories of one-hot columns
        are penalised like common ones. ``coef_`` acts on the raw columns in any case.
        If False, J is exactly the objective of LogisticRegression.
    solver : str, default="auto"
        How J is minimised: "lbfgs", "newton-cg", "trust-ncg", "newton-cholesky", or
        "auto", which chooses by the shape of the data.
    max_iter : int, default=1000
        Largest number of iterations; of all rounds if alpha is "auto". 0 only evaluates
        the start; with ``warm_start`` that is the last fit, perhaps on new rows.
    tol : float, default=1e-5
        The fit has converged if no entry of the gradient of J, in the optimiser's
        scaled coordinates, is larger than ``tol · min(1, J)``. A J below 1e-6 counts as
        1e-6. It has also converged if no step lowers J, and what its gradient promises
        is below rounding. Without an intercept it is divided by the largest ratio of a
        column's root mean square and deviation, up to 1e6. Fits of float32 data are in
        float64, too; the rows are converted a few at a time.
    class_weight : dict, list of dicts or "balanced", default=None
        Weight of each class, multiplied into ``sample_weight``; 1 for a class that the
        dict lacks. "balanced" is S / (n_classes · weight of the class). For a
        multilabel target each label is balanced by itself, or has a dict of its own
        with the weights of 0 and 1. The rows of a class of weight 0 count for nothing,
        as if it had never occurred: its probability is nearly 0.
    monotonic_cst : array-like of int of shape (n_features,) or dict, default=None
        1, 0 or -1 per feature, or by column name: the probability of the second class
        must not decrease (1) or increase (-1) in that feature, for every input. Two
        classes only. Bounds fix the sign of the weight.
    warm_start : bool, default=False
        Start from the previous solution, or from zero if zero has the lower J, for
        example after a change of units. "auto" starts from the previous ``alpha_``.
    verbose : int, default=0
        1 prints a line per iteration: iteration, J, largest gradient entry, the value
        that ``tol`` asks for, seconds. A last line says why the fit ended. If alpha is
        "auto", a line per round names its alpha.

    Attributes
    ----------
    alpha_ : float
        The alpha that was used.
    log_evidence_ : float
        The natural logarithm of the evidence at ``alpha_``, to compare models of the
        same labels; only if alpha is "auto". For more than 300 parameters it comes from
        random probes; ``Posterior.log_evidence`` is exact.
    n_effective_ : float
        The number of weights that the data determine, γ; only if alpha is "auto".
    evidence_path_ : dict of ndarrays of shape (n_rounds,)
        "alpha" and "log_evidence" of each round; only if alpha is "auto".
    cv_results_ : dict of ndarrays of shape (n_tried,)
        As for :class:`OneHiddenMLP`, in place of the three attributes of the evidence;
        only if alpha is "auto" and ``fit`` is given ``X_val``.
    classes_ : ndarray of shape (n_classes,)
        The class labels, sorted; for a multilabel target 0 … n_labels - 1.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Weights, for the raw columns of X; one row per output.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Biases; zeros if ``fit_intercept`` is False.
    n_features_in_ : int
        Number of features of the X passed to ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all column names of X are strings.
    scale_ : ndarray of shape (n_features,)
        The unit of each column in which the penalty measures its weights: half the
        distance of the values of a column with only two, else the standard deviation.
        1 for a constant column, and for all columns if ``standardize`` is False.
    loss_ : float
        Final J.
    loss_curve_ : list of float, of length n_iter_ + 1
        J at the start and after each iteration. If alpha is "auto", each value is for
        the alpha of its round, and J may rise where a round begins.
    n_iter_ : int
        Number of iterations.
    grad_norm_ : float
        Largest absolute entry of the gradient at the fitted parameters, in the
        optimiser's coordinates.
    converged_ : bool
        Whether the fit ended for a reason given at ``tol``. False if alpha is 0 and the
        classes can be separated: J then has no minimum.
    solver_ : str
        The solver that was used; the last one if there were several.

    See Also
    --------
    OneHiddenMLP : The network with one hidden layer.
    sklearn.linear_model.LogisticRegression : The same model; its features are
        scaled by the user, and its penalty is set by ``C``.

    References
    ----------
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, sections 4.3.2 to
    4.3.4, 4.4 and 5.7. Springer.

    Gelman, A. (2006). Prior distributions for variance parameters in hierarchical
    models. Bayesian Analysis 1(3), 515-534.

    MacKay, D. J. C. (1992). The evidence framework applied to classification networks.
    Neural Computation 4(5), 720-736.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sknn_simple import LogisticNN
    >>> X, y = load_wine(return_X_y=True)
    >>> model = LogisticNN().fit(X, y)  # raw columns, from 0.1 to 1680
    >>> model.converged_
    True
    >>> model.score(X, y)
    1.0
    >>> model.alpha_  # chosen from the data
    0.58
    >>> round(model.n_effective_, 1)  # of 39 weights
    15.6
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseNN._parameter_constraints,
        "fit_intercept": ["boolean"],
        "solver": [Options(["auto", *SOLVERS])],
    }

    @explains_names
    def __init__(
        self,
        alpha: float | str = "auto",
        *,
        fit_intercept: bool = True,
        standardize: bool = True,
        solver: str = "auto",
        max_iter: int = 1000,
        tol: float = 1e-5,
        class_weight: Any = None,
        monotonic_cst: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.class_weight = class_weight
        self.monotonic_cst = monotonic_cst
        self.warm_start = warm_start
        self.verbose = verbose

    def _with_own_intercept(self, data: TrainingSet) -> TrainingSet:
        if self.fit_intercept or not self.standardize:
            return data
        free = feature_signs(self, data) == 0.0
        if data.chunks is None:
            return data._replace(own_intercept=constant_column(data.X, free))
        columns = data.chunks.columns
        first = first_constant(columns.mean, columns.deviation == 0.0, free)
        return data._replace(own_intercept=first)

    def _network_and_signs(self, data: TrainingSet) -> tuple[LinearNetwork, np.ndarray]:
        has_bias = self.fit_intercept or data.own_intercept is not None
        network = LinearNetwork(data.X.shape[1], data.n_outputs, has_bias)
        coef_signs = feature_signs(self, data)[:, None]
        signs = network.layout.pack({"coef": coef_signs, "intercept": 0.0})
        bounded, (n_rows, n_columns) = bool(signs.any()), data.X.shape
        few_rows = data.chunks is None and n_rows <= row_space_limit(n_columns)
        in_row_space = few_rows and not bounded
        n_weights = n_rows * data.n_outputs if in_row_space else network.layout.size
        check_solver(self.solver, n_weights, bounded=bounded)
        return network, signs

    def _train_spec(self, data: TrainingSet) -> TrainSpec:
        spec = super()._train_spec(data)
        return spec._replace(by_evidence=self.alpha == "auto" and spec.alpha > 0.0)

    def _train(
        self,
        spec: TrainSpec,
        data: TrainingSet,
        validation: TrainingSet | None,
        previous: np.ndarray | None,
        task: FitTask,
    ) -> tuple[Trained, Search | None]:
        zeros = np.zeros(spec.network.layout.size)
        search, warm_start = None, previous is not None
        by_validation = spec.by_evidence and validation is not None
        chooses = by_validation and spec.iterates
        task = task.begin_fit(max_subtasks=self.max_iter + chooses)
        if by_validation:
            spec = spec._replace(by_evidence=False)
        if validation is not None and chooses:
            folds = [Fold(data, validation)]
            search = self._search_alpha(spec, folds, zeros, task)
            spec = spec._replace(alpha=search.alpha)
        observers = partial(self._observers, 1, 0, task)
        start = zeros if previous is None else previous
        trained = train(spec, data, None, start, observers, warm_start=warm_start)
        return trained, search

    _alpha_power = 2

    def _first_alpha(
        self, data: TrainingSet, unit: float, previous: float | None
    ) -> float:
        if previous:  # 0 has no evidence
            # For rows of an average weight of 1.
            last = previous / getattr(self, "_mean_weight", data.mean_weight)
            bounds = alpha_bounds(data.counted_rows, unit)
            return float(np.clip(last, *bounds)) * data.mean_weight
        if self.standardize:
            first = first_alpha(data.X.shape[1], data.counted_rows)
            return first * data.mean_weight
        return super()._first_alpha(data, unit, previous)

    def densify(self) -> Self:
        """Store ``coef_`` as an array again, after ``sparsify``.

        Returns
        -------
        self : LogisticNN
            The fitted estimator.
        """
        check_is_fitted(self)
        self.coef_ = self._parameters()["coef"].T
        return self

    def sparsify(self) -> Self:
        """Store ``coef_`` as a CSR matrix, which is smaller if most weights are 0.

        Predictions are the same. Weights that are exactly 0 are those of constant
        columns, and those that bounds of ``monotonic_cst`` hold at 0.

        Returns
        -------
        self : LogisticNN
            The fitted estimator.
        """
        check_is_fitted(self)
        self.coef_ = sparse.csr_matrix(self.coef_)
        return self

    _attribute_of: ClassVar[dict[str, str]] = {
        "coef": "coef_.T",
        "intercept": "intercept_",
    }

    _model_attributes = ("classes_", "coef_", "intercept_")

    def _parameters(self) -> dict[str, np.ndarray]:
        coef: Any = self.coef_
        coef = coef.toarray() if sparse.issparse(coef) else np.asarray(coef)
        return {"coef": coef.T, "intercept": np.asarray(self.intercept_)}

    def _attributes(
        self, data: TrainingSet, arrays: dict[str, np.ndarray]
    ) -> dict[str, Any]:
        if data.out_activation == "softmax":
            _centre_outputs(arrays, biases_only=self.alpha != 0.0)
        coef = np.ascontiguousarray(arrays["coef"].T)
        intercept = arrays.get("intercept", np.zeros(data.n_outputs, coef.dtype))
        if data.own_intercept is not None:
            column, value = data.own_intercept
            # Its weight is 0, unless the last model is only evaluated.
            coef[:, column] += intercept / value
            intercept = np.zeros_like(intercept)
        return {"coef_": coef, "intercept_": intercept}

    def _network_of(
        self, n_features: int, params: dict[str, np.ndarray]
    ) -> LinearNetwork:
        return LinearNetwork(n_features, self._n_raw_outputs)


def _centre_outputs(arrays: dict[str, np.ndarray], biases_only: bool) -> None:
    """Subtract the mean over the classes from what J does not determine, in place.

    Adding a constant to all K outputs does not change softmax. J therefore does not
    determine the mean of the biases, nor, without a penalty, that of the weights. With
    the mean at 0 all solvers return the same model.
    """
    for name, array in arrays.items():
        if name == "intercept" or not biases_only:
            mean = array.mean(axis=-1, keepdims=True)
            # Centred ones stay as they are: a fit that only evaluates changes no bit.
            rounding = np.finfo(array.dtype).eps * np.abs(array).max(axis=-1)
            array -= np.where(np.abs(mean) > rounding[..., np.newaxis], mean, 0.0)
