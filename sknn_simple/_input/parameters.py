"""Hints for wrong names and values of parameters."""

import difflib
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, ParamSpec

from sknn_simple._compat import StrOptions

_P = ParamSpec("_P")

_STEPS = "each step reads all rows, and the solver finds its length"
_CONVERGES = "a fit ends by max_iter and tol"

# Parameters of LogisticRegression, MLPClassifier and libraries of deep learning, and
# what takes their place. An entry is not used if the class has the parameter.
OTHER_NAMES = {
    "C": "alpha is 1/C, and the default alpha='auto' chooses it from the data",
    "Cs": "alpha='auto', the default, chooses the strength of the penalty in one fit",
    "activation": "OneHiddenMLP has it, for its hidden units",
    "batch_size": _STEPS,
    "beta_1": _STEPS,
    "beta_2": _STEPS,
    "cv": "OneHiddenMLP has it; LogisticNN needs no folds to choose alpha",
    "dropout": "the penalty alone regularises, with alpha='auto' by itself",
    "dual": "solver='auto' chooses by the shape of the data",
    "early_stopping": "OneHiddenMLP has it; LogisticNN has one optimum, and reaches it",
    "epochs": f"{_CONVERGES}, and each iteration reads all rows",
    "epsilon": _STEPS,
    "fit_intercept": "a network with a hidden layer always has biases",
    "hidden_layer_size": "OneHiddenMLP has it; LogisticNN has no hidden layer",
    "hidden_layer_sizes": (
        "there is one hidden layer, OneHiddenMLP(hidden_layer_size=100), or none, "
        "LogisticNN()"
    ),
    "intercept_scaling": "biases are not penalised and need no scale",
    "l1_ratio": "the penalty is L2, of strength alpha; there is no L1 penalty",
    "learning_rate": _STEPS,
    "learning_rate_init": _STEPS,
    "lr": _STEPS,
    "max_fun": _CONVERGES,
    "momentum": _STEPS,
    "multi_class": "three or more classes are always one softmax model",
    "n_init": "OneHiddenMLP has it; LogisticNN has one optimum",
    "n_iter_no_change": "OneHiddenMLP has it; LogisticNN has no early stopping",
    "n_jobs": (
        "a fit uses as many threads as the BLAS may (OMP_NUM_THREADS or threadpoolctl "
        "limit them)"
    ),
    "nesterovs_momentum": _STEPS,
    "penalty": "the penalty is L2; alpha is its strength, and alpha=0 means none",
    "power_t": _STEPS,
    "random_state": "LogisticNN gives the same result each time",
    "shuffle": f"the order of the rows does not matter: {_STEPS}",
    "skip_connections": "OneHiddenMLP has it; all weights of LogisticNN are direct",
    "validation_fraction": "OneHiddenMLP has it; LogisticNN sets no rows aside",
    "weight_decay": "alpha is the strength of the L2 penalty",
}

_NOT_STOCHASTIC = "No solver is stochastic: use 'auto', which needs no learning rate."
_SAME_PENALTY = "Use 'auto': all solvers minimise the loss with an L2 penalty."

# What takes the place of a value, by parameter and value.
OTHER_VALUES: dict[tuple[str, str | None], str] = {
    ("solver", "adam"): _NOT_STOCHASTIC,
    ("solver", "sgd"): _NOT_STOCHASTIC,
    ("solver", "sag"): _SAME_PENALTY,
    ("solver", "saga"): _SAME_PENALTY,
    ("solver", "liblinear"): _SAME_PENALTY,
    ("solver", "newton-cholesky"): "LogisticNN has it; use 'auto' for OneHiddenMLP.",
    ("activation", "swish"): "It is called 'silu' here.",
    ("alpha", None): "Use alpha=0 for no penalty.",
}


class Options(StrOptions):
    """Strings that a parameter accepts.

    scikit-learn's class keeps a set, which messages list in another order in each
    process.
    """

    def __init__(self, options: Iterable[str]) -> None:
        options = tuple(options)
        super().__init__(set(options))
        self.options = options


def explains_names(init: Callable[_P, None]) -> Callable[_P, None]:
    """Let an ``__init__`` say what a parameter of another library is called here.

    ``inspect.signature`` and scikit-learn read the signature of the function itself.
    """

    @wraps(init)
    def explaining(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            init(*args, **kwargs)
        except TypeError as error:
            hint = name_hint(args[0], kwargs)
            if not hint:
                raise
            # Python may end its message with "Did you mean …?".
            end = "" if str(error).endswith("?") else "."
            raise TypeError(f"{error}{end} {hint}") from None

    return explaining


def name_hint(estimator: Any, params: Iterable[str]) -> str:
    """Return what takes the place of the first parameter that an estimator lacks."""
    known = estimator._get_param_names()
    for name in params:
        if name in OTHER_NAMES and name not in known:
            return f"Instead of {name!r}: {OTHER_NAMES[name]}."
    return ""


def suggestion(estimator: Any, message: str) -> str:
    """Return what takes the place of the value that a message refuses, if anything.

    It is a known value of another library, or a misspelt option.
    """
    constraints = estimator._parameter_constraints
    refused = (name for name in constraints if f"'{name}' parameter" in message)
    name = next(refused, "")
    value = getattr(estimator, name, None)
    if name == "hidden_layer_size" and isinstance(value, tuple | list):
        example = f", as in {name}={value[0]!r}" if len(value) == 1 else ""
        return f" There is one hidden layer: its size is a number{example}."
    if isinstance(value, str | None) and (name, value) in OTHER_VALUES:
        return f" {OTHER_VALUES[name, value]}"
    if not isinstance(value, str):
        return ""
    options = [
        option
        for constraint in constraints[name]
        if isinstance(constraint, Options)
        for option in constraint.options
    ]
    close = difflib.get_close_matches(value.lower(), options, n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""
