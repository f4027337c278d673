"""LogisticNN, the single-layer network."""

from typing import Any, ClassVar

import numpy as np

from sknn_simple._base import BaseNN
from sknn_simple._compat import StrOptions
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._model.networks import LinearNetwork
from sknn_simple._model.objective import LinearObjective
from sknn_simple._optim.solvers import SOLVERS, check_capability
from sknn_simple._training.callbacks import fit_task
from sknn_simple._training.problem import Recipe
from sknn_simple._training.train import Trained, train


class LogisticNN(BaseNN):
    """Single-layer network: logistic regression, and softmax regression.

    A network without hidden layer maps features x to raw outputs z = W x + b, and raw
    outputs to probabilities by σ(z) = 1/(1 + exp(-z)) for two classes (one output), and
    by softmax(z)ₖ = exp(zₖ)/Σⱼ exp(zⱼ) for three or more. Training minimises

        J(W, b) = 1/S Σᵢ sᵢ ℓ(yᵢ, zᵢ) + alpha/(2 S) Σ w²,      S = Σᵢ sᵢ

    with ℓ the log-loss and s the weights of the samples. J is convex: every solver
    ends at the same model. ``alpha`` is ``1/C`` of
    :class:`~sklearn.linear_model.LogisticRegression`.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty on the weights; 0 for none. Biases are not penalised.
    fit_intercept : bool, default=True
        Whether there is a bias b. Without it the model's raw output is 0 at x = 0.
    standardize : bool, default=True
        Measure each feature in its standard deviations before the penalty sees its
        weight. Predictions then do not depend on the unit (nor, with an intercept, on
        the origin) of a column. ``coef_`` acts on the raw columns all the same. A
        constant column gets weight 0. With False, J is the objective of
        LogisticRegression to the last term.
    solver : {"auto", "lbfgs", "newton-cg", "trust-ncg", "newton-cholesky"}, \
default="auto"
        How J is minimised. "auto" chooses by shape.
    max_iter : int, default=1000
        Largest number of iterations.
    tol : float, default=1e-5
        The fit has converged when no entry of the gradient of J, in the optimiser's
        scaled coordinates, is larger than ``tol · min(1, J)``, with 1e-6 in place of a
        smaller J: where classes are separable and alpha is 0, both fall for ever. For
        float32 data tol is at least √ε = 3.5e-4.
    class_weight : dict or "balanced", default=None
        Weight of each class, multiplied into ``sample_weight``. "balanced" is
        S / (n_classes · weight of the class). For several labels only "balanced": the
        product over the labels of the weights of their two values.
    monotonic_cst : array-like of int of shape (n_features,) or dict, default=None
        1, 0 or -1 per feature, or by column name: the probability of the second class
        must not decrease (1) or increase (-1) in that feature, for every input. Two
        classes only; the sign of the weight is held by bounds.
    warm_start : bool, default=False
        Start from the last fit, not from zero, unless zero has the lower J: then the
        data are in other units, and the last fit is far from any optimum of them.
    verbose : int, default=0
        1 prints a line per iteration: iteration, J, largest gradient entry, seconds.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels, sorted; for a multilabel target 0 … n_labels - 1.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Weights, for the raw columns of X; one row per output.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Biases; zeros where ``fit_intercept`` is False.
    n_features_in_ : int
        Number of features seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X had string column names.
    loss_ : float
        Final J.
    loss_curve_ : list of float, of length n_iter_ + 1
        J at the start and after each iteration.
    n_iter_ : int
        Number of iterations.
    grad_norm_ : float
        Largest absolute entry of the gradient at the fitted parameters, in the
        optimiser's coordinates.
    converged_ : bool
        Whether the fit ended for the reason that ``tol`` describes.
    solver_ : str
        The solver that was used.

    See Also
    --------
    OneHiddenMLP : The network with one hidden layer.

    References
    ----------
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, sections 4.3.2 to
    4.3.4. Springer.

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
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseNN._parameter_constraints,
        "fit_intercept": ["boolean"],
        "solver": [StrOptions({"auto", *SOLVERS})],
    }

    def __init__(
        self,
        alpha: float = 1.0,
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

    def _recipe(self, data: TrainingSet) -> Recipe:
        network = LinearNetwork(data.X.shape[1], data.n_outputs, self.fit_intercept)
        signs = np.zeros(network.layout.size)
        network.layout.views(signs)["coef"][...] = self._monotone_signs(data)[:, None]
        check_capability(self.solver, network.layout.size, bounded=bool(signs.any()))
        return Recipe(
            network=network,
            objective=LinearObjective,
            alpha=self.alpha,
            standardize=self.standardize,
            signs=signs,
            solver=self.solver,
            limits=self._limits(data),
        )

    def _train(
        self,
        recipe: Recipe,
        data: TrainingSet,
        previous: np.ndarray | None,
        hooks: dict[str, Any],
    ) -> Trained:
        start = np.zeros(recipe.network.layout.size) if previous is None else previous
        with fit_task(self, hooks, max_subtasks=self.max_iter) as context:
            monitors = self._monitors(recipe, data, hooks, 1, 0, context)
            return train(
                recipe,
                data,
                None,
                start,
                monitors,
                start_is_raw=previous is not None,
            )

    _attribute_of: ClassVar[dict[str, str]] = {
        "coef": "coef_.T",
        "intercept": "intercept_",
    }

    def _parameters(self) -> dict[str, np.ndarray]:
        return {"coef": self.coef_.T, "intercept": self.intercept_}

    def _attributes(
        self, data: TrainingSet, arrays: dict[str, np.ndarray]
    ) -> dict[str, Any]:
        if data.out_activation == "softmax":
            _centre_outputs(arrays, biases_only=self.alpha > 0.0)
        coef = np.ascontiguousarray(arrays["coef"].T)
        no_bias = np.zeros(data.n_outputs, coef.dtype)
        return {"coef_": coef, "intercept_": arrays.get("intercept", no_bias)}

    def _fitted_network(self) -> LinearNetwork:
        n_outputs, n_features = self.coef_.shape
        return LinearNetwork(n_features, n_outputs)


def _centre_outputs(arrays: dict[str, np.ndarray], biases_only: bool) -> None:
    """Make what softmax leaves open sum to 0 over the classes, in place.

    Softmax does not change when all K outputs are raised by the same amount, so J does
    not determine the mean of the biases, nor without a penalty that of the weights.
    A fixed choice makes the model the same whatever solver found it.
    """
    for name, array in arrays.items():
        if name == "intercept" or not biases_only:
            array -= array.mean(axis=-1, keepdims=True)
