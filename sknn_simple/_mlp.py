"""OneHiddenMLP, the network with one hidden layer."""

from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state

from sknn_simple._base import BaseNN
from sknn_simple._compat import Interval, StrOptions
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._model.activations import ACTIVATIONS
from sknn_simple._model.networks import OneHiddenNetwork
from sknn_simple._model.objective import Network, Objective
from sknn_simple._optim.solvers import SOLVERS, check_capability
from sknn_simple._prediction import map_rows
from sknn_simple._training.callbacks import StartTasks, fit_task
from sknn_simple._training.early_stopping import split
from sknn_simple._training.problem import Recipe
from sknn_simple._training.restarts import StartTraining, best, train_each
from sknn_simple._training.train import Trained

_SOLVERS = {
    name for name, solver in SOLVERS.items() if "hessian" not in solver.derivatives
}


class OneHiddenMLP(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseNN):
    """Network with one hidden layer.

    Features x become hidden activations a = φ(W₁ x + b₁), those become raw outputs
    z = W₂ a + b₂ (+ W₃ x with skip connections), and raw outputs become probabilities
    by the logistic function (two classes, one output) or softmax (three or more).
    Training minimises

        J(θ) = 1/S Σᵢ sᵢ ℓ(yᵢ, zᵢ) + alpha/(2 S) Σ w²,      S = Σᵢ sᵢ

    with ℓ the log-loss, s the weights of the samples and w every weight that is not a
    bias. ``alpha`` is that of :class:`~sklearn.neural_network.MLPClassifier`.

    Parameters
    ----------
    hidden_layer_size : int, default=100
        Number h of hidden units.
    activation : {"identity", "logistic", "sigmoid", "tanh", "relu", "softplus", \
"silu", "gelu"}, default="relu"
        The function φ of the hidden units; "sigmoid" is another name of "logistic".
    alpha : float, default=1.0
        Strength of the penalty on the weights; 0 for none. Biases are not penalised.
    standardize : bool, default=True
        Measure each feature in its standard deviations before the penalty sees its
        weights, so that predictions do not depend on the unit and origin of a column:
        float64 features are rounded to 1.5e-8 deviations while the network trains,
        which keeps every path the same in all units; ``loss_`` is that of the data.
        Large fits then make most of their steps with products in float32 and the last
        ones, down to ``tol``, in float64.
        ``coefs_`` act on the raw columns all the same. A constant column gets weight
        0. With False, J is the objective of MLPClassifier to the last term; the first
        weights are still drawn for features near unit size.
    skip_connections : bool, default=False
        Add direct weights from the inputs to the outputs.
    solver : {"auto", "lbfgs", "newton-cg", "trust-ncg"}, default="auto"
        How J is minimised. "auto" is lbfgs, which was the quickest on every shape that
        was measured.
    max_iter : int, default=1000
        Largest number of iterations.
    tol : float, default=1e-4
        The fit has converged when no entry of the gradient of J, for standardised
        features and centred hidden units, is larger than ``tol · min(1, J)``, with 1e-6
        in place of a smaller J (where classes are separable and alpha is 0, both fall
        for ever); or when J fell by at most this fraction of itself over the last ten
        iterations; or when no step lowers J any more, and over the last ten iterations
        it fell by at most 100 times this fraction: at a kink of relu the gradient need
        not vanish. For float32 data the gradient's tol is at least √ε = 3.5e-4.
    n_init : int, default=1
        Number of random starts. The one with the lowest final J is kept; with early
        stopping, the one with the lowest validation loss.
    n_jobs : int, default=None
        Number of starts trained at the same time, by joblib; None is 1 unless in a
        :obj:`joblib.parallel_config`. The result does not depend on it.
    early_stopping : bool, default=False
        Set a part of the rows aside, stratified by class (not for labels), watch its
        log-loss at every iteration, stop when it falls no more and keep the best
        iterate.
    validation_fraction : float, default=0.1
        The fraction of rows that ``early_stopping`` sets aside.
    n_iter_no_change : int, default=10
        Iterations without a lower validation loss after which ``early_stopping`` ends
        the fit.
    class_weight : dict or "balanced", default=None
        Weight of each class, multiplied into ``sample_weight``. "balanced" is
        S / (n_classes · weight of the class). For several labels only "balanced": the
        product over the labels of the weights of their two values.
    monotonic_cst : array-like of int of shape (n_features,) or dict, default=None
        1, 0 or -1 per feature, or by column name: the probability of the second class
        must not decrease (1) or increase (-1) in that feature, for every input. Two
        classes only, and an activation that never decreases (not silu, gelu). Held by
        the signs of weights: every second unit may only raise the output, the others
        only lower it. For identity, tanh and logistic that loses no generality; with
        relu and softplus it fixes how many units bend the output up, and how many down.
    warm_start : bool, default=False
        Start from the last fit, not from drawn weights.
    random_state : int, RandomState instance or None, default=None
        Draws the first weights and what early stopping sets aside. With an int the
        fitted numbers are the same bits at each fit, on any number of threads.
    verbose : int, default=0
        1 prints a line per iteration: iteration, J, largest gradient entry, seconds.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels, sorted; for a multilabel target 0 … n_labels - 1.
    coefs_ : list of two ndarrays, (n_features, h) and (h, n_outputs)
        Weights of the hidden layer, for the raw columns of X, and of the output layer.
    intercepts_ : list of two ndarrays, (h,) and (n_outputs,)
        Biases of the hidden and of the output layer.
    skip_coef_ : ndarray of shape (n_features, n_outputs)
        Direct weights from inputs to outputs; only with ``skip_connections``.
    out_activation_ : str
        "logistic" or "softmax".
    n_layers_ : int
        3: input, hidden and output layer.
    n_outputs_ : int
        Number of raw outputs: 1 for two classes, else one per class or label.
    n_features_in_ : int
        Number of features seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X had string column names.
    loss_ : float
        Final J; with early stopping that of the iterate that is kept.
    loss_curve_ : list of float, of length n_iter_ + 1
        J at the start and after each iteration.
    validation_loss_curve_ : list of float, of length n_iter_ + 1
        Log-loss on the rows set aside; only with ``early_stopping``.
    init_losses_ : ndarray of shape (n_init,)
        What each start ended with: J, or its lowest validation loss. One entry where
        ``warm_start`` goes on, fewer than n_init after an interrupt.
    n_iter_ : int
        Number of iterations.
    grad_norm_ : float
        Largest absolute entry of the gradient at the fitted parameters, in the
        optimiser's coordinates.
    converged_ : bool
        Whether the fit ended for one of the reasons that ``tol`` describes, or by
        ``early_stopping``.
    solver_ : str
        The solver that was used.

    See Also
    --------
    LogisticNN : The network without hidden layer.

    References
    ----------
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, chapter 5. Springer.
    Glorot, X., Bengio, Y. (2010). Understanding the difficulty of training deep
    feedforward neural networks. AISTATS (the range of the first weights).

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.model_selection import cross_val_score
    >>> from sknn_simple import OneHiddenMLP
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = OneHiddenMLP(5, random_state=0)  # no scaler is needed
    >>> bool(cross_val_score(model, X, y).mean() > 0.95)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseNN._parameter_constraints,
        "hidden_layer_size": [Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "skip_connections": ["boolean"],
        "solver": [StrOptions({"auto", *_SOLVERS})],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        hidden_layer_size: int = 100,
        activation: str = "relu",
        *,
        alpha: float = 1.0,
        standardize: bool = True,
        skip_connections: bool = False,
        solver: str = "auto",
        max_iter: int = 1000,
        tol: float = 1e-4,
        n_init: int = 1,
        n_jobs: int | None = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        class_weight: Any = None,
        monotonic_cst: Any = None,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.hidden_layer_size = hidden_layer_size
        self.activation = activation
        self.alpha = alpha
        self.standardize = standardize
        self.skip_connections = skip_connections
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.n_jobs = n_jobs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.monotonic_cst = monotonic_cst
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def transform(self, X: Any) -> np.ndarray:
        """Return the activations of the hidden layer.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        A : ndarray of shape (n_samples, hidden_layer_size)
            φ(X W₁ + b₁), in the precision of X.
        """
        X = self._validated(X)
        network, params = self._fitted_network(), self._parameters()
        return map_rows(
            X,
            network,
            lambda rows, work: network.hidden(params, rows, work),
            np.empty((X.shape[0], network.n_hidden), X.dtype),
        )

    @property
    def _n_features_out(self) -> int:
        return self.coefs_[0].shape[1]

    def _recipe(self, data: TrainingSet) -> Recipe:
        network = OneHiddenNetwork(
            data.X.shape[1],
            self.hidden_layer_size,
            data.n_outputs,
            ACTIVATIONS[self.activation],
            self.skip_connections,
        )
        signs = self._parameter_signs(network, data)
        check_capability(self.solver, network.layout.size, bounded=bool(signs.any()))
        return Recipe(
            network=network,
            objective=Objective,
            alpha=self.alpha,
            standardize=self.standardize,
            signs=signs,
            solver=self.solver,
            limits=self._limits(data, min_decrease=self.tol),
            patience=self.n_iter_no_change if self.early_stopping else None,
        )

    def _parameter_signs(
        self, network: OneHiddenNetwork, data: TrainingSet
    ) -> np.ndarray:
        """Return the signs that hold the output monotone.

        Every second unit may only raise the output, the others only lower it; the
        weights of a unit on constrained inputs have the sign that makes up for that.
        With a convex φ the output is so a sum of convex and of concave functions. For
        an odd φ and the sigmoid it makes no difference: turning the signs of all of a
        unit's weights around changes at most its bias and the output's.
        """
        inputs = self._monotone_signs(data)
        if inputs.any() and not network.activation.monotone:
            monotone = sorted(name for name, row in ACTIVATIONS.items() if row.monotone)
            raise ValueError(
                f"monotonic_cst needs an activation that never decreases; "
                f"activation='{self.activation}' does. Use one of {monotone}."
            )
        signs: dict[str, ArrayLike] = dict.fromkeys(network.layout.shapes, 0.0)
        if inputs.any():
            units = np.resize([1.0, -1.0], network.n_hidden)
            signs["output_coef"] = units[:, None]
            signs["hidden_coef"] = np.outer(inputs, units)
            if network.skip_connections:
                signs["skip_coef"] = inputs[:, None]
        return network.layout.pack(signs)

    def _train(
        self,
        recipe: Recipe,
        data: TrainingSet,
        previous: np.ndarray | None,
        hooks: dict[str, Any],
    ) -> Trained:
        generator = check_random_state(self.random_state)
        validation = None
        if self.early_stopping:
            data, validation = split(data, self.validation_fraction, generator)
        if previous is None:
            seeds = generator.randint(np.iinfo(np.int32).max, size=self.n_init)
            starts = [self._draw(recipe.network, seed) for seed in seeds]
        else:
            starts = [previous]
        with fit_task(
            self, hooks, max_subtasks=len(starts), sequential_subtasks=False
        ) as context:
            # Where nobody listens they are not for other processes to carry along.
            hooks = {} if context is None else hooks
            training = StartTraining(
                recipe,
                data,
                validation,
                start_is_raw=previous is not None,
                monitors=partial(self._monitors, recipe, data, hooks, len(starts)),
                tasks=StartTasks(context, self, hooks, self.max_iter),
            )
            fits = train_each(
                training, starts, self.n_jobs, lambda: training.untrained(starts[0])
            )
        self.init_losses_ = np.array([fit.score for fit in fits])
        return best(fits)

    def _draw(self, network: Network, seed: int) -> np.ndarray:
        """Draw weights and biases from ±√(6/(fan_in + fan_out)).

        They are those of the coordinates of training, in which columns and hidden units
        are centred: outputs that all weights would raise alike begin near 0. The range
        is Glorot and Bengio's (2010). MLPClassifier takes a third of its square for the
        sigmoid, which on six sets led to a J higher by up to 0.6 %. Skip weights start
        at 0.
        """
        generator = np.random.RandomState(seed)
        params = np.zeros(network.layout.size)
        arrays = network.layout.views(params)
        for layer in ("hidden", "output"):
            fans = network.layout.shapes[f"{layer}_coef"]
            limit = np.sqrt(6.0 / sum(fans))
            for name in (f"{layer}_coef", f"{layer}_intercept"):
                arrays[name][...] = generator.uniform(-limit, limit, arrays[name].shape)
        return params

    _attribute_of: ClassVar[dict[str, str]] = {
        "hidden_coef": "coefs_[0]",
        "hidden_intercept": "intercepts_[0]",
        "output_coef": "coefs_[1]",
        "output_intercept": "intercepts_[1]",
        "skip_coef": "skip_coef_",
    }

    def _parameters(self) -> dict[str, np.ndarray]:
        arrays = {
            "hidden_coef": self.coefs_[0],
            "hidden_intercept": self.intercepts_[0],
            "output_coef": self.coefs_[1],
            "output_intercept": self.intercepts_[1],
        }
        if hasattr(self, "skip_coef_"):
            arrays["skip_coef"] = self.skip_coef_
        return arrays

    def _attributes(
        self, data: TrainingSet, arrays: dict[str, np.ndarray]
    ) -> dict[str, Any]:
        attributes: dict[str, Any] = {
            "coefs_": [arrays["hidden_coef"], arrays["output_coef"]],
            "intercepts_": [arrays["hidden_intercept"], arrays["output_intercept"]],
            "n_outputs_": data.n_outputs,
            "n_layers_": 3,
            "out_activation_": data.out_activation,
        }
        if "skip_coef" in arrays:
            attributes["skip_coef_"] = arrays["skip_coef"]
        return attributes

    def _fitted_network(self) -> OneHiddenNetwork:
        n_features, n_hidden = self.coefs_[0].shape
        return OneHiddenNetwork(
            n_features,
            n_hidden,
            self.n_outputs_,
            ACTIVATIONS[self.activation],
            hasattr(self, "skip_coef_"),
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
