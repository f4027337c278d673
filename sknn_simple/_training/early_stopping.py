"""Early stopping: keep the iterate with the lowest log-loss on validation rows.

References
----------
Prechelt, L. (1998). Early stopping - but when? In: Neural Networks: Tricks of the
Trade.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from sknn_simple._data.moments import check_values
from sknn_simple._data.training_set import TrainingSet
from sknn_simple._model.objective import Objective
from sknn_simple._optim.history import Iterate, Observer
from sknn_simple._training.problem import TrainingProblem, objective_over


@dataclass
class EarlyStopping(Observer):
    """Keeps the iterate with the lowest validation loss; stops if it no longer falls.

    `curve` is the validation loss at the start and after each iteration, `best` the
    iterate at which it was lowest. The fit has `triggered` it if the patience is used
    up.
    """

    validation_loss: Callable[[np.ndarray], float]
    patience: int
    curve: list[float] = field(default_factory=list)
    best: Iterate | None = None
    triggered: bool = False

    def on_iteration_end(self, iterate: Iterate) -> bool:
        """Add the validation loss; True if the last `patience` ones were not better."""
        loss = self.validation_loss(iterate.theta)
        if not self.curve or loss < min(self.curve):
            self.best = iterate
        self.curve.append(loss)
        since_best = len(self.curve) - 1 - int(np.argmin(self.curve))
        self.triggered = since_best >= self.patience
        return self.triggered


def early_stopping(
    problem: TrainingProblem, validation: TrainingSet | None
) -> EarlyStopping | None:
    """Return the observer of the validation set; None without a validation set."""
    patience = problem.spec.patience
    if validation is None or patience is None:
        return None
    return EarlyStopping(validation_objective(problem, validation).value, patience)


def validation_objective(
    problem: TrainingProblem, validation: TrainingSet
) -> Objective:
    """Return the log-loss of validation rows as a function of θ."""
    exact = problem.explicit and problem.explicit.without_rounding()
    if validation.chunks is not None:
        return validation.chunks.objective(problem, exact)
    X = validation.X.astype(problem.data.X.dtype, copy=False)
    J, rows = problem.objective, validation._replace(X=X)
    parts = exact, J.folded, np.zeros(J.size)  # without a penalty
    return objective_over(problem.spec, rows, J.workers, *parts)


def split(
    data: TrainingSet, fraction: float, random_state: np.random.RandomState
) -> tuple[TrainingSet, TrainingSet]:
    """Return the training rows, and a `fraction` of the rows for validation.

    The split is stratified by class, and random for a multilabel target. It raises
    ValueError if there are too few rows for every class to be on both sides, and for
    a value in the validation rows that training would refuse in the others.
    """
    # Imported here: sklearn.model_selection imports more than a fit needs.
    from sklearn.model_selection import train_test_split

    stratify = None if data.multilabel else data.codes()
    refused = (
        f"early_stopping=True with validation_fraction={fraction} cannot set rows aside"
    )
    if stratify is not None:
        codes, counts = np.unique(stratify, return_counts=True)
        alone = data.classes[codes[counts == 1]].tolist()
        if alone:
            raise ValueError(
                f"{refused}: both sides need a row of every class, but these have one "
                f"row only: {alone}. Remove them, add rows, or pass validation rows as "
                "X_val and y_val."
            )
    try:
        rest, aside = train_test_split(
            np.arange(data.X.shape[0]),
            test_size=fraction,
            stratify=stratify,
            random_state=random_state,
        )
    except ValueError as error:
        raise ValueError(f"{refused}: {error}") from None
    validation = data.rows(np.sort(aside))
    check_values("X", validation.X)
    return data.rows(np.sort(rest)), validation
