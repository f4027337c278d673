"""Base class of both classifiers: the steps of ``fit``, and the record."""

import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning

from sknn_simple._compat import (
    CallbackSupportMixin,
    Interval,
    InvalidParameterError,
    VisualBlock,
    fit_context,
    has_callbacks,
    with_callbacks,
)
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._fit_warnings import fit_warnings
from sknn_simple._input.parameters import Options, name_hint, suggestion
from sknn_simple._input.validation import validate_training_set, validate_validation_set
from sknn_simple._model.networks import Network
from sknn_simple._optim.history import Observer
from sknn_simple._optim.stopping import OUTCOMES, StoppingCriteria, iterations
from sknn_simple._persistence import PersistenceMixin
from sknn_simple._prediction import PredictionMixin
from sknn_simple._training.alpha import Fold, FoldTraining, Search, search_alpha
from sknn_simple._training.callbacks import (
    FitTask,
    HookStopped,
    IterationTasks,
)
from sknn_simple._training.early_stopping import EarlyStopping
from sknn_simple._training.problem import TrainingProblem
from sknn_simple._training.progress import ProgressTable, print_line
from sknn_simple._training.spec import TrainSpec, column_scale
from sknn_simple._training.train import Trained
from sknn_simple._warm_start import previous_parameters

# "Documentation" under [project.urls] in pyproject.toml.
DOCUMENTATION = "https://sknn-simple.readthedocs.io/en/stable"

# Fitted attributes that only some fits set.
_NOT_ALWAYS_SET = (
    "skip_coef_",
    "validation_loss_curve_",
    "log_evidence_",
    "n_effective_",
    "evidence_path_",
    "cv_results_",
)


class BaseNN(
    CallbackSupportMixin,
    PredictionMixin,
    PersistenceMixin,
    metaclass=ABCMeta,
):
    """Base of the two classifiers; a subclass names its network and its parameters."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "alpha": [Interval(Real, 0, None, closed="left"), Options(["auto"])],
        "standardize": ["boolean"],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "class_weight": [dict, list, Options(["balanced"]), None],
        "monotonic_cst": ["array-like", dict, None],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
    }

    # How many calls lie between the user and `fit`: warnings show the user's line.
    _frames_of_fit: ClassVar[int] = 0

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train the network until it has converged (see ``tol``).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features. float32 is kept; anything else becomes float64. Sparse input is
            converted to CSR. If it has few columns, LogisticNN makes blocks of rows
            dense to form the Hessian.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels (text, numbers, booleans), or a multilabel indicator matrix.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples. A row of weight 2 is the same as two equal rows, but
            not for the random rows that ``early_stopping`` sets aside. For
            ``alpha="auto"`` weights with a mean below 1 count as if it were 1.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Features of validation rows, with the columns of X; they are converted to
            its dtype. With ``alpha="auto"`` their log-loss chooses alpha, in place of
            the folds or of the evidence, and the model is then trained on the rows of
            X. ``OneHiddenMLP(early_stopping=True)`` watches them and sets no rows
            aside. In a Pipeline the earlier steps transform them with
            ``transform_input=["X_val"]``.
        y_val : array-like of shape (n_val,) or (n_val, n_labels), default=None
            Labels of the validation rows. Not every class of y need occur.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation rows. ``class_weight`` multiplies them by the
            factors of the classes of y, which "balanced" computes from the training
            rows.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an argument is invalid, or if the parameters leave the
            validation rows without use. The estimator is then as it was before.
        KeyboardInterrupt
            If Ctrl-C comes before or after the minimisation of J and the search for
            alpha, or while ``n_jobs`` processes train and no start has ended. The
            estimator is then as it was before.

        Warns
        -----
        ConvergenceWarning
            If the solver stopped before the fit converged, or Ctrl-C came while J was
            minimised; the best iterate so far is kept. Also if Ctrl-C or a callback
            ended the search for alpha; the best alpha so far is used, and by the
            evidence the last one.
        """
        try:
            with _unchanged_on_failure(self):
                trained, search = self._fit(
                    X, y, sample_weight, X_val, y_val, sample_weight_val
                )
        except HookStopped as stopped:
            raise stopped.error from None
        for text in fit_warnings(self, search, trained):
            stacklevel = 2 + self._frames_of_fit
            warnings.warn(text, ConvergenceWarning, stacklevel=stacklevel)
        return self

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def _fit(
        self, X: Any, y: Any, sample_weight: Any, *of_validation: Any
    ) -> tuple[Trained, Search | None]:
        names = vars(self).get("feature_names_in_")  # of the last fit
        data, validation = self._rows(X, y, sample_weight, *of_validation)
        if validation is not None:
            self._check_validation_set_is_used()
        self._check_penalty(data)
        data = self._with_own_intercept(data)
        spec = self._train_spec(data)
        previous = previous_parameters(self, spec, data, names)
        if has_callbacks(self):
            # Hooks are given copies of this estimator, which must not have attributes
            # of the last fit. The estimator itself cannot predict before the end.
            self._drop_attributes(*self._model_attributes, *_NOT_ALWAYS_SET)
        weights = None if sample_weight is None else {"sample_weight": sample_weight}
        task = FitTask(
            self,
            {"X": X, "y": y, "metadata": weights},
            partial(self._predictor, data.without_rows(), spec.network),
            partial(self._record, data.without_rows(), spec.network),
        )
        trained, search = self._train(spec, data, validation, previous, task)
        attributes = self._record(data, spec.network, trained, search)
        self._drop_attributes(*_NOT_ALWAYS_SET)
        self.__dict__.update(attributes)
        task.end_fit(attributes)
        return trained, search

    def _drop_attributes(self, *names: str) -> None:
        for name in names:
            self.__dict__.pop(name, None)

    # Steps of fit ---------------------------------------------------------------------

    def _rows(
        self, X: Any, y: Any, sample_weight: Any, *of_validation: Any
    ) -> tuple[TrainingSet, TrainingSet | None]:
        """Return the checked training rows and validation rows, if any."""
        data = validate_training_set(self, X, y, sample_weight, self.class_weight)
        return data, validate_validation_set(self, data, *of_validation)

    def _with_own_intercept(self, data: TrainingSet) -> TrainingSet:
        """Return the rows, with the column that is their intercept, if any."""
        return data

    @abstractmethod
    def _network_and_signs(self, data: TrainingSet) -> tuple[Any, np.ndarray]:
        """Return the network, and 1, 0 or -1 per parameter, from ``monotonic_cst``.

        Raises ValueError if the parameters do not go together.
        """

    def _train_spec(self, data: TrainingSet) -> TrainSpec:
        """Return what to minimise and how."""
        network, signs = self._network_and_signs(data)
        unit = self._alpha_unit(data)
        return TrainSpec(
            network=network,
            alpha=self._initial_alpha(data, unit),
            standardize=self.standardize,
            signs=signs,
            solver=self.solver,
            criteria=StoppingCriteria(self.tol, self.max_iter),
            alpha_unit=unit,
        )

    @abstractmethod
    def _train(
        self,
        spec: TrainSpec,
        data: TrainingSet,
        validation: TrainingSet | None,
        previous: np.ndarray | None,
        task: FitTask,
    ) -> tuple[Trained, Search | None]:
        """Train from `previous`, the parameters of the last fit; None for new ones.

        `validation` has the rows given as X_val. `task` is to begin with its number of
        subtasks. Also returns the search for alpha by validation, if there was one.
        """

    def _search_alpha(
        self,
        spec: TrainSpec,
        folds: list[Fold],
        start: np.ndarray,
        fit_task: FitTask,
        number: int | None = None,
    ) -> Search:
        """Return the alpha that the log-loss on the held-out rows of folds chooses.

        The search is a task of the fit, with a `number` if tasks are not sequential.
        """
        task = fit_task.open("alphas", task_id=number, max_subtasks=None)
        training = FoldTraining(spec, start, task)
        n_jobs = getattr(self, "n_jobs", 1)
        search = search_alpha(training, folds, n_jobs, self._announce)
        task.end()
        return search

    def _announce(self, text: str) -> None:
        if self.verbose:
            print_line(f"{type(self).__name__}: {text}")

    # If a column is multiplied by c, the best alpha for raw weights is multiplied by c
    # to this power.
    _alpha_power: ClassVar[int]

    def _alpha_unit(self, data: TrainingSet) -> float:
        if self.standardize or self.alpha != "auto":
            return 1.0
        return column_scale(data) ** self._alpha_power

    def _initial_alpha(self, data: TrainingSet, unit: float) -> float:
        """Return alpha, or for "auto" the first one of a search."""
        if self.alpha != "auto":
            return self.alpha
        previous = getattr(self, "alpha_", None) if self.warm_start else None
        if previous is not None and self.max_iter == 0:  # the last model is evaluated
            return previous
        return self._first_alpha(data, unit, previous)

    def _first_alpha(
        self, data: TrainingSet, unit: float, previous: float | None
    ) -> float:
        """Return the first alpha of a search, or the only one if none is possible.

        It is the unit of alpha. `previous` is that of a warm start.
        """
        return unit * data.mean_weight

    def _check_validation_set_is_used(self) -> None:
        early_stopping = getattr(self, "early_stopping", None)
        if self.alpha != "auto" and not early_stopping:
            use = "alpha='auto'"
            if early_stopping is not None:
                use += " or early_stopping=True"
            raise ValueError(
                f"X_val is given, but {type(self).__name__} with these parameters does "
                f"not use it: set {use}, or leave X_val and y_val out."
            )

    def _check_penalty(self, data: TrainingSet) -> None:
        if self.alpha == "auto":
            if data.mean_weight < 1e-290 or np.isinf(data.total_weight):
                raise ValueError(
                    f"alpha='auto' cannot be used with sample weights whose sum is "
                    f"{data.total_weight:.2g}: multiply them by a constant."
                )
            return
        with np.errstate(over="ignore"):
            strength = np.float64(self.alpha) / data.total_weight
        if not np.isfinite(strength):
            raise ValueError(
                f"alpha={self.alpha:g} divided by the sum of the sample weights, "
                f"{data.total_weight:.2g}, leaves the range of float64: use larger "
                "weights, or a smaller alpha."
            )

    def _observers(
        self,
        n_starts: int,
        number: int,
        task: FitTask,
        problem: TrainingProblem,
        stopping: EarlyStopping | None,
    ) -> list[Observer]:
        """Return the observers of one start: the printed table and the callbacks.

        `number` counts the starts from 0, and `task` is that of the start.
        """
        observers: list[Observer] = []
        if self.verbose:
            title = type(self).__name__
            observers.append(
                ProgressTable(title, self.max_iter, number + 1, n_starts, stopping)
            )
        if task.context is not None:
            observers.append(IterationTasks(task, problem.to_raw))
        return observers

    def _predictor(
        self, data: TrainingSet, network: Network, theta: np.ndarray
    ) -> dict[str, Any]:
        """Return the fitted attributes that prediction needs."""
        arrays = network.layout.views(theta.copy())
        return {
            "classes_": data.classes,
            "_multilabel": data.multilabel,
            **self._attributes(data, arrays),
        }

    def _record(
        self,
        data: TrainingSet,
        network: Network,
        trained: Trained,
        search: Search | None = None,
    ) -> dict[str, Any]:
        has_minimum = trained.separating is None
        attributes = {
            **self._predictor(data, network, trained.parameters),
            "alpha_": trained.alpha,
            # The next warm start measures alpha_ in it.
            "_mean_weight": data.mean_weight,
            "scale_": trained.unit,
            "loss_": trained.loss,
            "loss_curve_": trained.loss_curve,
            "n_iter_": len(trained.loss_curve) - 1,
            "grad_norm_": trained.grad_norm,
            "converged_": OUTCOMES[trained.outcome].converged and has_minimum,
            "solver_": trained.solver,
        }
        if trained.evidence is not None:
            attributes["log_evidence_"] = trained.evidence.log_evidence
            attributes["n_effective_"] = trained.evidence.n_effective
            path = np.array(trained.evidence.path).T
            columns = zip(("alpha", "log_evidence"), path, strict=True)
            attributes["evidence_path_"] = dict(columns)
        if search is not None:
            attributes["cv_results_"] = search.table()
        if trained.validation_curve is not None:
            attributes["validation_loss_curve_"] = trained.validation_curve
        return attributes

    @abstractmethod
    def _attributes(
        self, data: TrainingSet, arrays: dict[str, np.ndarray]
    ) -> dict[str, Any]:
        """Return the fitted attributes that hold the network's named arrays."""

    # Conventions of scikit-learn ------------------------------------------------------

    # The HTML representation links to this page.
    _doc_link_module = "sknn_simple"
    _doc_link_template = (
        f"{DOCUMENTATION}/generated/{{estimator_module}}.{{estimator_name}}.html"
    )

    def _sk_visual_block_(self) -> VisualBlock:
        """Return what the HTML representation shows: name, and how the fit ended."""
        name, record = type(self).__name__, None
        if {"converged_", "n_iter_", "alpha_"} <= vars(self).keys():
            ended = "converged" if self.converged_ else "not converged"
            counted, alpha = iterations(self.n_iter_), f"{self.alpha_:.3g}"
            record = f"{ended} after {counted}, alpha_ = {alpha}"
        return VisualBlock(
            "single", self, names=name, name_details=str(self), name_caption=record
        )

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name, as the constructor does.

        Parameters
        ----------
        **params : dict
            Names and values.

        Returns
        -------
        self : object
            The estimator.
        """
        try:
            return super().set_params(**params)
        except ValueError as error:
            hint = name_hint(self, params)
            if not hint:
                raise
            raise ValueError(f"{error} {hint}") from None

    def _validate_params(self) -> None:
        try:
            super()._validate_params()
        except InvalidParameterError as error:
            hint = suggestion(self, str(error))
            raise InvalidParameterError(f"{error}{hint}") from None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_label = True
        return tags


@contextmanager
def _unchanged_on_failure(estimator: BaseEstimator) -> Iterator[None]:
    """Restore the attributes of an estimator if the block raises."""
    before = estimator.__dict__.copy()
    try:
        yield
    except BaseException:
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        raise
