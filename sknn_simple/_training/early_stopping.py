"""Early stopping: rows set aside and their log-loss."""

import numpy as np

from sknn_simple._data.training_set import TrainingSet


def split(
    data: TrainingSet, fraction: float, random_state: np.random.RandomState
) -> tuple[TrainingSet, TrainingSet]:
    """Return the rows to train on and a `fraction` of them set aside.

    Each class is divided in this proportion; for a multilabel target rows are drawn.

    Raises
    ------
    ValueError
        If the rows are too few for each class to appear on both sides.
    """
    # Imported here: it brings the searches along, which a fit does not need.
    from sklearn.model_selection import train_test_split

    stratify = None if data.multilabel else data.y.ravel()
    try:
        rest, aside = train_test_split(
            np.arange(data.X.shape[0]),
            test_size=fraction,
            stratify=stratify,
            random_state=random_state,
        )
    except ValueError as error:
        raise ValueError(
            f"early_stopping=True with validation_fraction={fraction} cannot set rows "
            f"aside: {error}"
        ) from None
    return data.rows(np.sort(rest)), data.rows(np.sort(aside))
