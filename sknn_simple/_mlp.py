"""OneHiddenMLP, the network with one hidden layer."""

from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state

from sknn_simple._base import BaseNN
from sknn_simple._compat import Interval
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._input.monotonic import hidden_signs
from sknn_simple._input.parameters import Options, explains_names
from sknn_simple._model.activations import ACTIVATIONS
from sknn_simple._model.networks import OneHiddenNetwork
from sknn_simple._optim.minimize import SOLVERS
from sknn_simple._optim.stopping import WINDOW
from sknn_simple._prediction import map_rows
from sknn_simple._training.alpha import Fold, Search, make_folds
from sknn_simple._training.callbacks import FitTask
from sknn_simple._training.early_stopping import split
from sknn_simple._training.heuristics import EARLY_STOPPING_ALPHA, search_units
from sknn_simple._training.restarts import RestartTraining, best, train_each
from sknn_simple._training.spec import TrainSpec, check_solver
from sknn_simple._training.train import Trained
from sknn_simple._warm_start import continues_converged_fit

_SOLVERS = [name for name, row in SOLVERS.items() if not row.needs_matrix]


class OneHiddenMLP(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseNN):
    r"""Network with one hidden layer.

    The network computes hidden activations :math:`a = \varphi(W_1 x + b_1)` from the
    features :math:`x`, then raw outputs :math:`z = W_2 a + b_2` (:math:`+\, W_3 x` with
    skip connections). The logistic function turns them into probabilities for two
    classes (one output) and for labels, softmax for three or more classes. Training
    minimises

    .. math::

        J(\theta) = \frac{1}{S} \sum_i s_i\, \ell(y_i, z_i)
        + \frac{\alpha}{2S} \sum w^2, \qquad S = \sum_i s_i

    with :math:`\ell` the log-loss, :math:`s_i` the sample weights and :math:`w` all
    weights that are not biases. ``alpha`` is that of
    :class:`~sklearn.neural_network.MLPClassifier`. J has many local minima: the one
    that a fit reaches depends on ``random_state``, and ``n_init`` tries several.

    ``alpha="auto"`` chooses alpha by cross-validation (Stone 1974). The first value is
    0.375 times S of the rows that a fold trains on, where most networks are constant;
    the next is always √10 times smaller, until the log-loss of the held-out rows, which
    include one more row with a wrong label, no longer falls (see the guide). Fits are
    coarse (``tol=1e-2``, at most 30 hidden units), begin at the same random start, and
    use about 15,000 distinct rows at most. A parabola through the lowest mean and its
    neighbours chooses that alpha, or one half a step from it, for one fit on all rows.

    Read more in the :ref:`User Guide <guide_layers>`.

    Parameters
    ----------
    hidden_layer_size : int, default=100
        Number h of hidden units.
    activation : str, default="relu"
        The function φ of the hidden units: "identity", "logistic", "sigmoid" (another
        name for "logistic"), "tanh", "relu", "softplus", "silu" or "gelu".
    alpha : float or "auto", default="auto"
        Strength of the penalty on the weights; 0 for no penalty. Biases are not
        penalised. "auto" chooses it by cross-validation, or the log-loss of ``X_val``.
        It is 1 if a class has too few rows for folds, and 0.5 with early stopping; both
        times the median deviation of the columns with ``standardize=False``.
    cv : int, splitter or iterable, default=5
        The folds of ``alpha="auto"``: their number, a splitter of scikit-learn, or an
        iterable of pairs (train, test) of row numbers. If it is a number, folds are
        stratified, do not depend on the order of the rows, and copies share one. A
        splitter numbers the rows of positive weight, an iterable all rows.
    standardize : bool, default=True
        Whether the penalty is on the weights of standardised features. If True,
        predictions do not depend on the unit and origin of a column, and a constant
        column gets weight 0, also if its values differ by rounding. The unit of a
        column is its weighted standard deviation. If it has only two values, in rows of
        positive weight, it is half their distance, so that rare categories of one-hot
        columns are penalised like common ones. Training then rounds float64 features to
        1.5e-8 standard deviations, and large fits start in float32 and end in float64.
        If False, J is exactly the objective of MLPClassifier. In both cases ``coefs_``
        act on the raw columns, and initial weights are drawn for standardised features.
    skip_connections : bool, default=False
        Add direct weights from the inputs to the outputs.
    solver : str, default="auto"
        How J is minimised: "lbfgs", "newton-cg", "trust-ncg" or "auto", here lbfgs.
    max_iter : int, default=1000
        Largest number of iterations. 0 only evaluates the start; with ``warm_start``
        that is the last fit, perhaps on new rows, with its ``alpha_``.
    tol : float, default=1e-3
        The fit has converged if one of these holds:

        - No entry of the gradient of J, for standardised features and centred hidden
          units, is larger than ``tol · min(1, J, D)`` with the whole decrease D of J.
          A J below 1e-6 counts as 1e-6, a D below ``J / 100`` as that.
        - Over ten iterations J fell by at most ``10 · tol`` of J, and of D. D does not
          matter if a converged fit is continued.
        - No step lowers J, and over the last ten iterations J fell by at most
          ``100 · tol · J``. At a kink of relu the gradient need not be small.
        - No step lowers J, and what its gradient promises is below rounding.

        Fits of float32 data end in float64.
    n_init : int, default=1
        Number of random starts. The one with the lowest final J is kept; with early
        stopping, the one with the lowest validation loss.
    n_jobs : int, default=None
        Number of starts, or of folds of ``alpha="auto"``, that joblib trains at the
        same time; None is 1 unless in a :obj:`joblib.parallel_config`. The result does
        not depend on it. If it is not 1, Ctrl-C keeps only the starts that have ended.
    early_stopping : bool, default=False
        Compute the log-loss of validation rows at every iteration, stop if it no longer
        falls, and keep the best iterate. The validation rows are ``X_val`` and
        ``y_val`` of ``fit``. Without them some training rows are set aside, stratified
        by class (at random for multilabel targets): ValueError if there are too few.
    validation_fraction : float, default=0.1
        The fraction of rows that ``early_stopping`` sets aside; not used if ``fit`` is
        given ``X_val``.
    n_iter_no_change : int, default=10
        Iterations without a lower validation loss after which ``early_stopping`` ends
        the fit.
    class_weight : dict, list of dicts or "balanced", default=None
        Weight of each class, multiplied into ``sample_weight``; 1 for a class that the
        dict lacks. "balanced" is S / (n_classes · weight of the class). For a
        multilabel target each label is balanced by itself, or has a dict of its own
        with the weights of 0 and 1. The rows of a class of weight 0 count for nothing,
        as if it had never occurred: its probability is nearly 0.
    monotonic_cst : array-like of int of shape (n_features,) or dict, default=None
        1, 0 or -1 per feature, or by column name: the probability of the second class
        must not decrease (1) or increase (-1) in that feature, for every input. Two
        classes only, and an activation that never decreases (not silu or gelu). Bounds
        fix the signs of weights: every second unit can only raise the output, the
        others only lower it. For identity, tanh and logistic this is no restriction.
        For relu and softplus it fixes how many units are convex and how many concave.
    warm_start : bool, default=False
        Start from the previous solution, not from random weights.
    random_state : int, RandomState instance or None, default=None
        Generates the initial weights and chooses the rows to set aside. With an int,
        repeated fits give bit-identical results for any number of threads.
    verbose : int, default=0
        1 prints a line per iteration: iteration, J, validation loss with early
        stopping, largest gradient entry, the value that ``tol`` asks for, seconds. A
        last line says why the fit ended. A search prints a line per alpha.

    Attributes
    ----------
    alpha_ : float
        The alpha that was used.
    cv_results_ : dict of ndarrays of shape (n_tried,)
        "alpha" (the values tried), "mean_log_loss", "std_log_loss", "split0_log_loss",
        … of the held-out rows, and of one more with a wrong label. Probabilities below
        0.001 count as 0.001. Empty if no folds were possible. Only with
        ``alpha="auto"`` and without early stopping.
    classes_ : ndarray of shape (n_classes,)
        The class labels, sorted; for a multilabel target 0 … n_labels - 1.
    coefs_ : list of two ndarrays, (n_features, h) and (h, n_outputs)
        Weights of the hidden layer, for the raw columns of X, and of the output layer.
    intercepts_ : list of two ndarrays, (h,) and (n_outputs,)
        Biases of the hidden and of the output layer.
    skip_coef_ : ndarray of shape (n_features, n_outputs)
        Direct weights from inputs to outputs; only with ``skip_connections``.
    activation_ : str
        The function of the hidden units.
    out_activation_ : str
        "logistic" or "softmax".
    n_layers_ : int
        3: input, hidden and output layer.
    n_outputs_ : int
        Number of raw outputs: 1 for two classes, else one per class or label.
    n_features_in_ : int
        Number of features of the X passed to ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all column names of X are strings.
    scale_ : ndarray of shape (n_features,)
        The unit of each column in which the penalty measures its weights: half the
        distance of the values of a column with only two, else the standard deviation.
        1 for a constant column, and for all columns if ``standardize`` is False.
    loss_ : float
        Final J; with early stopping J of the iterate that is kept. If ``standardize``
        is True it is J of the rounded features, which differs by about 1e-9, or by
        about 1e-7 if Ctrl-C, a callback or early stopping ends the fit in float32.
    loss_curve_ : list of float, of length n_iter_ + 1
        J at the start and after each iteration.
    validation_loss_curve_ : list of float, of length n_iter_ + 1
        Log-loss on the validation rows; only with ``early_stopping``.
    init_losses_ : ndarray of shape (n_init,)
        Final J of each start, or its lowest validation loss with early stopping. One
        entry after a warm start; fewer than n_init after an interrupt, or if a callback
        asks to stop.
    n_iter_ : int
        Number of iterations.
    grad_norm_ : float
        Largest absolute entry of the gradient at the fitted parameters, in the
        optimiser's coordinates.
    converged_ : bool
        Whether the fit ended for a reason given at ``tol``, or by early stopping. False
        if alpha is 0 and the classes can be separated: J then has no minimum.
    solver_ : str
        The solver that was used.

    See Also
    --------
    LogisticNN : The network without a hidden layer.
    sklearn.neural_network.MLPClassifier : Networks of any depth; the user scales
        the features.

    References
    ----------
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, chapter 5. Springer.
    Glorot, X., Bengio, Y. (2010). Understanding the difficulty of training deep
    feedforward neural networks. AISTATS (the range of the initial weights).
    Stone, M. (1974). Cross-validatory choice and assessment of statistical predictions.
    Journal of the Royal Statistical Society B 36(2), 111-147.

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
        "activation": [Options(ACTIVATIONS)],
        "cv": ["cv_object"],
        "skip_connections": ["boolean"],
        "solver": [Options(["auto", *_SOLVERS])],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Integral, None, -1, closed="right"),
            None,
        ],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    @explains_names
    def __init__(
        self,
        hidden_layer_size: int = 100,
        activation: str = "relu",
        *,
        alpha: float | str = "auto",
        cv: Any = 5,
        standardize: bool = True,
        skip_connections: bool = False,
        solver: str = "auto",
        max_iter: int = 1000,
        tol: float = 1e-3,
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
        self.cv = cv
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
        network, params = self._checked_network(X)
        return map_rows(
            X,
            network,
            lambda rows, work: network.hidden(params, rows, work),
            np.empty((X.shape[0], network.n_hidden), X.dtype),
        )

    @property
    def _n_features_out(self) -> int:
        return self.coefs_[0].shape[1]

    def _network(self, data: TrainingSet, most: float = np.inf) -> OneHiddenNetwork:
        return OneHiddenNetwork(
            data.X.shape[1],
            int(min(self.hidden_layer_size, most)),
            data.n_outputs,
            ACTIVATIONS[self.activation],
            self.skip_connections,
        )

    def _network_and_signs(
        self, data: TrainingSet
    ) -> tuple[OneHiddenNetwork, np.ndarray]:
        network = self._network(data)
        signs = hidden_signs(self, network, data)
        check_solver(self.solver, network.layout.size, bounded=bool(signs.any()))
        return network, signs

    def _train_spec(self, data: TrainingSet) -> TrainSpec:
        spec = super()._train_spec(data)
        criteria = spec.criteria._replace(
            min_decrease=WINDOW * self.tol, near_minimum=continues_converged_fit(self)
        )
        patience = self.n_iter_no_change if self.early_stopping else None
        return spec._replace(criteria=criteria, patience=patience)

    def _train(
        self,
        spec: TrainSpec,
        data: TrainingSet,
        validation: TrainingSet | None,
        previous: np.ndarray | None,
        task: FitTask,
    ) -> tuple[Trained, Search | None]:
        generator = check_random_state(self.random_state)
        chooses = self.alpha == "auto" and not self.early_stopping and spec.iterates
        folds = make_folds(self.cv, spec, data, validation) if chooses else []
        if self.early_stopping and validation is None:
            data, validation = split(data, self.validation_fraction, generator)
        seeds = generator.randint(np.iinfo(np.int32).max, size=self.n_init)
        search, draw = None, self._network(data).draw
        starts = list(map(draw, seeds)) if previous is None else [previous]
        task = task.begin_fit(
            max_subtasks=len(starts) + chooses, sequential_subtasks=False
        )
        if chooses:
            search = self._search(spec, data, folds, seeds[0], task, len(starts))
            spec = spec._replace(alpha=search.alpha)
        training = RestartTraining(
            spec,
            data,
            validation if self.early_stopping else None,
            warm_start=previous is not None,
            observers=partial(self._observers, len(starts)),
            task=task,
        )
        fits = train_each(training, starts, self.n_jobs if data.chunks is None else 1)
        self.init_losses_ = np.array([fit.score for fit in fits])
        return best(fits), search

    def _search(
        self,
        spec: TrainSpec,
        data: TrainingSet,
        folds: list[Fold],
        seed: int,
        task: FitTask,
        number: int,
    ) -> Search:
        """Search for alpha with coarse fits of a network with at most 30 units."""
        if not folds:
            self._announce(
                f"alpha={spec.alpha:.3g}, because there are too few rows to "
                "cross-validate, in all or in a class"
            )
        most = search_units(data.X.shape[1], data.n_outputs)
        network = self._network(data, most)
        signs = hidden_signs(self, network, data)
        spec = spec.coarse()._replace(network=network, signs=signs)
        start = network.draw(seed)
        return self._search_alpha(spec, folds, start, task, number)

    # Layers share alpha: J stays the same if weights move from one to the other.
    _alpha_power = 1

    def _first_alpha(
        self, data: TrainingSet, unit: float, previous: float | None
    ) -> float:
        first = super()._first_alpha(data, unit, previous)
        return EARLY_STOPPING_ALPHA * first if self.early_stopping else first

    _attribute_of: ClassVar[dict[str, str]] = {
        "hidden_coef": "coefs_[0]",
        "hidden_intercept": "intercepts_[0]",
        "output_coef": "coefs_[1]",
        "output_intercept": "intercepts_[1]",
        "skip_coef": "skip_coef_",
    }

    _model_attributes = ("classes_", "coefs_", "intercepts_")
    _once_parameters: ClassVar[dict[str, str]] = {"activation_": "activation"}

    def _parameters(self) -> dict[str, np.ndarray]:
        arrays = {
            "hidden_coef": np.asarray(self.coefs_[0]),
            "hidden_intercept": np.asarray(self.intercepts_[0]),
            "output_coef": np.asarray(self.coefs_[1]),
            "output_intercept": np.asarray(self.intercepts_[1]),
        }
        if hasattr(self, "skip_coef_"):
            arrays["skip_coef"] = np.asarray(self.skip_coef_)
        return arrays

    def _attributes(
        self, data: TrainingSet, arrays: dict[str, np.ndarray]
    ) -> dict[str, Any]:
        attributes: dict[str, Any] = {
            "coefs_": [arrays["hidden_coef"], arrays["output_coef"]],
            "intercepts_": [arrays["hidden_intercept"], arrays["output_intercept"]],
            "n_outputs_": data.n_outputs,
            "n_layers_": 3,
            "activation_": self.activation,
            "out_activation_": data.out_activation,
        }
        if "skip_coef" in arrays:
            attributes["skip_coef_"] = arrays["skip_coef"]
        return attributes

    def _network_of(
        self, n_features: int, params: dict[str, np.ndarray]
    ) -> OneHiddenNetwork:
        return OneHiddenNetwork(
            n_features,
            len(params["output_coef"]),
            self._n_raw_outputs,
            ACTIVATIONS[self._fitted_activation],
            "skip_coef" in params,
        )

    @property
    def _fitted_activation(self) -> str:
        """``activation_``; the parameter, if the attributes were set by hand."""
        name = getattr(self, "activation_", self.activation)
        if name not in ACTIVATIONS:
            raise ValueError(f"activation={name!r} is none of {list(ACTIVATIONS)}.")
        return name

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
