"""Parameters of other libraries are answered with what takes their place."""

import inspect
import pickle

import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr

from checks import X, Y
from models import LINEAR, NETWORK, each_class
from sknn_simple import LogisticNN, OneHiddenMLP
from sknn_simple._input.parameters import OTHER_NAMES, OTHER_VALUES

OURS = {type(model): set(model.get_params()) for model in (LINEAR, NETWORK)}
UNKNOWN = [
    (kind, name)
    for kind, known in OURS.items()
    for name in OTHER_NAMES
    if name not in known
]


@pytest.mark.parametrize(("kind", "name"), UNKNOWN)
def test_each_way_to_set_a_parameter_says_what_takes_its_place(kind, name):
    hint = f"Instead of '{name}': {OTHER_NAMES[name]}."
    with pytest.raises(TypeError, match="unexpected keyword argument") as caught:
        kind(tol=0.1, **{name: 1})
    assert str(caught.value).endswith(hint)
    with pytest.raises(ValueError, match=f"Invalid parameter '{name}'") as caught:
        kind().set_params(tol=0.1, **{name: 1})
    assert str(caught.value).endswith(hint)


def test_a_pipeline_says_it_too():
    pipeline = make_pipeline(StandardScaler(), LogisticNN())
    with pytest.raises(ValueError, match="alpha is 1/C"):
        pipeline.set_params(logisticnn__C=1.0)


@pytest.mark.parametrize(
    ("other", "kind"),
    [
        (LogisticRegression, LogisticNN),
        (MLPClassifier, OneHiddenMLP),
    ],
)
def test_every_parameter_of_scikit_learns_estimator_has_an_answer(other, kind):
    assert set(other().get_params()) <= OURS[kind] | set(OTHER_NAMES)


def test_what_one_of_ours_lacks_has_an_answer():
    for own in OURS.values():
        assert set.union(*OURS.values()) - own <= set(OTHER_NAMES)


def test_every_answer_is_used():
    assert set(OTHER_NAMES) == {name for _, name in UNKNOWN}


@each_class
def test_other_names_get_the_message_of_python(model):
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'") as e:
        type(model)(colour="red")
    assert "Instead of" not in str(e.value)
    with pytest.raises(TypeError, match="positional argument"):
        type(model)(1, 2, 3, 4)
    with pytest.raises(ValueError, match="Invalid parameter 'colour'") as caught:
        clone(model).set_params(colour="red", alpha=1.0)
    assert "Instead of" not in str(caught.value)


@pytest.mark.parametrize(("name", "value"), OTHER_VALUES)
@each_class
def test_values_of_other_libraries_are_answered(model, name, value):
    if name not in model.get_params() or (type(model), value) == (
        LogisticNN,
        "newton-cholesky",
    ):
        return
    with pytest.raises(ValueError, match=f"'{name}' parameter") as caught:
        clone(model).set_params(**{name: value}).fit(X, Y)
    assert str(caught.value).endswith(OTHER_VALUES[name, value])


@pytest.mark.parametrize("sizes", [(10,), [10]])
def test_a_tuple_of_layer_sizes_is_answered(sizes):
    with pytest.raises(ValueError, match=r"one hidden layer: .* hidden_layer_size=10"):
        OneHiddenMLP().set_params(hidden_layer_size=sizes).fit(X, Y)
    with pytest.raises(ValueError, match="There is one hidden layer: its size is a n"):
        OneHiddenMLP().set_params(hidden_layer_size=(10, 5)).fit(X, Y)


@each_class
def test_conventions_of_scikit_learn_hold(model):
    kind = type(model)
    parameters = inspect.signature(kind).parameters
    assert list(parameters) == list(inspect.signature(kind.__init__).parameters)[1:]
    assert sorted(parameters) == kind._get_param_names()
    kinds = {parameter.kind for parameter in parameters.values()}
    assert inspect.Parameter.VAR_KEYWORD not in kinds
    assert clone(model).get_params() == model.get_params()
    copy = pickle.loads(pickle.dumps(model))
    assert copy.get_params() == model.get_params()
    assert kind.__name__ in estimator_html_repr(model)


def test_a_subclass_with_an_init_of_its_own_is_answered():
    class Named(LogisticNN):
        def __init__(self, name="", alpha="auto"):
            super().__init__(alpha)
            self.name = name

    assert clone(Named("a", 2.0)).get_params() == {"name": "a", "alpha": 2.0}
    with pytest.raises(TypeError, match="'C'"):
        Named(**dict.fromkeys(["C"], 1.0))
    with pytest.raises(ValueError, match="alpha is 1/C"):
        Named().set_params(C=1.0)


def test_the_classes_for_dask_are_answered():
    dask = pytest.importorskip("sknn_simple.dask", exc_type=ImportError)
    for kind in (dask.DaskLogisticNN, dask.DaskOneHiddenMLP):
        assert list(inspect.signature(kind).parameters)[-2:] == ["client", "persist"]
        with pytest.raises(TypeError, match="alpha is 1/C"):
            kind(C=1.0)
        with pytest.raises(ValueError, match="alpha is 1/C"):
            kind().set_params(C=1.0)
