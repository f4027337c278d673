"""What ``fit`` warns of: an end that came early, and classes that are separable."""

from collections.abc import Iterator
from typing import Any

from sknn_simple._input.names import column_names, listed
from sknn_simple._optim.stopping import OUTCOMES, iterations
from sknn_simple._training.alpha import Search
from sknn_simple._training.train import Trained


def fit_warnings(model: Any, search: Search | None, trained: Trained) -> Iterator[str]:
    """Yield the text of each ConvergenceWarning of a fitted model."""
    texts = [
        _of_search(search),
        _of_separation(model, trained) or _of_minimisation(model, trained),
    ]
    for text in filter(None, texts):
        yield f"{type(model).__name__}{text}"


def _of_search(search: Search | None) -> str:
    if search is None or search.outcome == "lowest":
        return ""
    cause = "a callback" if search.outcome == "observer" else "an interrupt"
    tried = len(search.tried)
    chosen = f"the best of {tried} values" if tried else "because none was tried"
    return (
        f": {cause} ended the search for alpha. The model was trained with "
        f"alpha={search.alpha:.3g}, {chosen}."
    )


def _of_separation(model: Any, trained: Trained) -> str:
    if trained.separating is None:
        return ""
    remove, names = "", column_names(model)
    if trained.separating:
        which = listed([names[column] for column in trained.separating])
        remove = f", or remove the columns each of which separates them: {which}"
    return (
        " with alpha=0 has no optimum, because the classes can be separated: weights "
        "grow until tol ends the fit, and their size means nothing. Use alpha='auto' "
        f"or another alpha > 0{remove}."
    )


def _of_minimisation(model: Any, trained: Trained) -> str:
    # With max_iter=0 a warm start evaluates the last model.
    evidence = trained.evidence if model.max_iter > 0 else None
    searches = evidence is not None and not evidence.is_chosen
    outcome = OUTCOMES[trained.outcome]
    explanation, advice = outcome.explanation, outcome.advice
    if searches and not explanation:
        explanation = "a callback asked to stop"
    if not explanation:
        return ""
    text = f" stopped after {iterations(model.n_iter_)} because "
    text += explanation.format(max_iter=model.max_iter, solver=model.solver_)
    threshold = trained.criteria.threshold([*trained.loss_curve[:1], trained.loss])
    if trained.grad_norm > threshold:
        text += (
            f": the largest entry of the gradient is {trained.grad_norm:.2g}, but "
            f"tol={trained.criteria.tol:g} asks for at most {threshold:.2g}"
        )
    elif trained.outcome == "max_iter":
        advice = "Raise max_iter to go on."
    if searches:
        text += (
            ". The search for alpha did not end: the evidence may be larger at another "
            f"alpha than {trained.alpha:.3g}"
        )
    if trained.outcome == "max_iter" and model.alpha != "auto":
        advice += (
            " If J falls only slowly, use a larger alpha, or alpha='auto', which "
            "chooses it from the data."
        )
    return f"{text}. {advice}".rstrip()
