"""What both classifiers share: ``fit`` as a short story, the record, persistence."""

import difflib
import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, ClassVar, Self, cast

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning

from sknn_simple._compat import (
    CallbackSupportMixin,
    Interval,
    InvalidParameterError,
    StrOptions,
    check_monotonic_cst,
    drop_callbacks,
    fit_context,
    in_callback_context,
    parse_version,
    with_callbacks,
)
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._documentation import PACKAGE, documentation_address
from sknn_simple._model.objective import Network
from sknn_simple._optim.journey import OUTCOMES, Limits, Result
from sknn_simple._prediction import PredictionMixin
from sknn_simple._training.callbacks import IterationTasks
from sknn_simple._training.interrupts import interrupts, kept_interrupts
from sknn_simple._training.monitors import Monitor, ProgressTable
from sknn_simple._training.problem import Recipe
from sknn_simple._training.train import Trained
from sknn_simple._validation import validate_training_set
from sknn_simple._version import __version__


class BaseNN(
    CallbackSupportMixin,
    PredictionMixin,
    ClassifierMixin,
    BaseEstimator,
    metaclass=ABCMeta,
):
    """Base of the two classifiers; a subclass names its network and its parameters."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "alpha": [Interval(Real, 0, None, closed="left")],
        "standardize": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "monotonic_cst": ["array-like", dict, None],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
    }

    # How users know the network's named arrays.
    _attribute_of: ClassVar[dict[str, str]]

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train the network until it has converged, as ``tol`` says.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features. float32 is kept; anything else becomes float64. Sparse input is
            used as CSR; of few columns LogisticNN makes blocks of rows dense for its
            Hessian, and all rows up to 32 MiB.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels of any type, or a multilabel indicator matrix.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples; weighting a row by 2 is writing it twice.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is out of its range, or X, y, or sample_weight cannot be
            trained on. The estimator is then left as it was.

        Warns
        -----
        ConvergenceWarning
            If the solver stopped before the fit had converged, or was interrupted:
            Ctrl-C keeps the best iterate so far. A second Ctrl-C raises at once and
            leaves the estimator as it was.
        """
        with kept_interrupts() as kept, _unchanged_on_failure(self):
            result, limits = self._fit(X, y, sample_weight)
            # A second one may have ended what the first had not.
            if kept.repeated:
                raise KeyboardInterrupt
        if kept.pending and result.outcome != "interrupted":  # it came after training
            result = result._replace(outcome="interrupted")
            self.converged_ = False
        self._warn_unless_converged(result, limits)
        return self

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def _fit(self, X: Any, y: Any, sample_weight: Any) -> tuple[Result, Limits]:
        data = validate_training_set(self, X, y, sample_weight, self.class_weight)
        self._check_penalty(data)
        recipe = self._recipe(data)
        previous = self._previous_parameters(recipe.network, data)
        # A callback that asks for the model of an iteration gets a copy of this one.
        for name in ("skip_coef_", "validation_loss_curve_"):
            self.__dict__.pop(name, None)
        hooks = {
            "X": X,
            "y": y,
            "metadata": {"sample_weight": sample_weight}
            if sample_weight is not None
            else None,
        }
        trained = self._train(recipe, data, previous, hooks)
        self._record(data, recipe, trained)
        return trained.result, recipe.limits

    # Steps of fit ---------------------------------------------------------------------

    @abstractmethod
    def _recipe(self, data: TrainingSet) -> Recipe:
        """Return what to minimise and how; refuse what cannot be done."""

    @abstractmethod
    def _train(
        self,
        recipe: Recipe,
        data: TrainingSet,
        previous: np.ndarray | None,
        hooks: dict[str, Any],
    ) -> Trained:
        """Return the trained parameters; `hooks` is what callbacks are given."""

    def _limits(self, data: TrainingSet, min_decrease: float = 0.0) -> Limits:
        """Return when to stop; no line search sees below √ε of J in float32."""
        precision = np.finfo(np.float32).eps if data.X.dtype == np.float32 else 0.0
        tol = max(self.tol, float(np.sqrt(precision)))
        return Limits(tol, self.max_iter, min_decrease)

    def _check_penalty(self, data: TrainingSet) -> None:
        with np.errstate(over="ignore"):
            strength = np.float64(self.alpha) / data.total_weight
        if not np.isfinite(strength):
            raise ValueError(
                f"alpha={self.alpha:g} divided by the sum of the sample weights, "
                f"{data.total_weight:.2g}, leaves the range of float64: use larger "
                "weights, or a smaller alpha."
            )

    def _monotone_signs(self, data: TrainingSet) -> np.ndarray:
        """Return 1, 0 or -1 per feature, from ``monotonic_cst``."""
        signs = check_monotonic_cst(self, self.monotonic_cst)
        if signs.any() and (data.multilabel or len(data.classes) != 2):
            raise ValueError(
                "monotonic_cst needs a target of two classes: the probability of the "
                f"second one is held monotone. y has {len(data.classes)} "
                f"{'labels' if data.multilabel else 'classes'}."
            )
        return signs.astype(np.float64)

    def _previous_parameters(
        self, network: Network, data: TrainingSet
    ) -> np.ndarray | None:
        """Return the parameters of the last fit where ``warm_start`` asks for them."""
        if not (self.warm_start and hasattr(self, "n_iter_")):
            return None
        same_classes = np.array_equal(self.classes_, data.classes)
        if not same_classes or self._multilabel != data.multilabel:
            raise ValueError(
                "warm_start=True goes on from the last fit, so y must have the same "
                f"classes: {self.classes_.tolist()}; got {data.classes.tolist()}."
            )
        arrays = self._parameters()
        for name in arrays.keys() - network.layout.shapes.keys():
            if name.endswith("coef"):
                raise ValueError(
                    "warm_start=True goes on from the last fit, which has "
                    f"{self._attribute_of[name]}; the parameters now ask for a network "
                    "without it."
                )
        for name, shape in network.layout.shapes.items():
            attribute = self._attribute_of[name]
            if name not in arrays:
                raise ValueError(
                    "warm_start=True goes on from the last fit, which has no "
                    f"{attribute}; the parameters now ask for a network with it."
                )
            if arrays[name].shape != shape:
                raise ValueError(
                    f"warm_start=True goes on from the last fit, whose {attribute} has "
                    f"shape {arrays[name].shape}; X, y and the parameters now ask for "
                    f"{shape}."
                )
        return network.layout.pack(arrays)

    def _monitors(
        self,
        recipe: Recipe,
        data: TrainingSet,
        hooks: dict[str, Any],
        n_starts: int,
        number: int,
        context: Any,
    ) -> list[Monitor]:
        """Return what watches a minimisation: Ctrl-C, the printed table, callbacks.

        `number` is that of the start, from 0; `context` that of its task, None where
        nobody listens.
        """
        monitors: list[Monitor] = [interrupts()]
        if self.verbose:
            table = ProgressTable(type(self).__name__, number + 1, n_starts)
            monitors.append(table)
        if context is not None:
            monitors.append(
                IterationTasks(
                    context,
                    self,
                    hooks,
                    lambda theta: self._predictor(data, recipe.network, theta),
                )
            )
        return monitors

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

    def _record(self, data: TrainingSet, recipe: Recipe, trained: Trained) -> None:
        """Set the fitted attributes."""
        self.__dict__.update(self._predictor(data, recipe.network, trained.theta))
        result = trained.result
        self.loss_ = result.value
        self.loss_curve_ = result.values
        self.n_iter_ = result.n_iter
        self.grad_norm_ = result.grad_norm
        self.converged_ = OUTCOMES[result.outcome].converged
        self.solver_ = trained.solver
        if trained.validation_curve is not None:
            self.validation_loss_curve_ = trained.validation_curve

    def _warn_unless_converged(self, result: Result, limits: Limits) -> None:
        outcome = OUTCOMES[result.outcome]
        if not outcome.explanation:
            return
        reason = outcome.explanation.format(max_iter=self.max_iter, solver=self.solver_)
        warnings.warn(
            f"{type(self).__name__} stopped after {self.n_iter_} iterations because "
            f"{reason}: the largest entry of the gradient is {result.grad_norm:.2g}, "
            f"where tol={limits.tol:g} asks for at most "
            f"{limits.threshold(result.value):.2g}. {outcome.advice}",
            ConvergenceWarning,
            stacklevel=3,
        )

    @abstractmethod
    def _attributes(
        self, data: TrainingSet, arrays: dict[str, np.ndarray]
    ) -> dict[str, Any]:
        """Return the fitted attributes that hold the network's named arrays."""

    # Persistence ----------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes to store, and the version of sknn_simple.

        A fitted model is stored without its callbacks: only a fit needs them, and to
        load them takes their classes, which another program or scikit-learn < 1.9 may
        not have. An estimator before or in its fit keeps them, because so it travels
        to the processes of a search or of ``n_init``.
        """
        state = dict(cast(dict[str, Any], super().__getstate__()))
        state["_sknn_simple_version"] = __version__
        if hasattr(self, "n_iter_") and not in_callback_context(self):
            drop_callbacks(state)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Set the stored attributes; warn if a newer sknn_simple stored them."""
        state = dict(state)
        stored_by = state.pop("_sknn_simple_version", __version__)
        if parse_version(stored_by) > parse_version(__version__):
            warnings.warn(
                f"This {type(self).__name__} was stored by sknn_simple {stored_by} and "
                f"loaded by {__version__}, which may predict something else. Upgrade "
                "sknn_simple, or fit the model again.",
                UserWarning,
                stacklevel=2,
            )
        super().__setstate__(state)

    # Conventions of scikit-learn ------------------------------------------------------

    _doc_link_module = PACKAGE

    @property
    def _doc_link_template(self) -> str:
        """The page of a class, which the HTML representation links to; "" for none."""
        address = documentation_address()
        page = "generated/{estimator_module}.{estimator_name}.html"
        return f"{address}/{page}" if address else ""

    def _validate_params(self) -> None:
        try:
            super()._validate_params()
        except InvalidParameterError as error:
            raise InvalidParameterError(
                str(error) + _suggestion(self, str(error))
            ) from None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_label = True
        return tags


@contextmanager
def _unchanged_on_failure(estimator: BaseEstimator) -> Iterator[None]:
    """Give an estimator back its attributes if the block raises."""
    before = estimator.__dict__.copy()
    try:
        yield
    except BaseException:
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        raise


def _suggestion(estimator: BaseEstimator, message: str) -> str:
    """Return " Did you mean …?" for a parameter whose value is a misspelt option."""
    for name, constraints in estimator._parameter_constraints.items():
        value = getattr(estimator, name, None)
        if not isinstance(value, str) or f"'{name}'" not in message:
            continue
        options: Sequence[str] = [
            option
            for constraint in constraints
            if isinstance(constraint, StrOptions)
            for option in constraint.options
        ]
        close = difflib.get_close_matches(value.lower(), options, n=1, cutoff=0.5)
        return f" Did you mean {close[0]!r}?" if close else ""
    return ""
