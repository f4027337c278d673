"""benchmarks/mechanisms.py: a mechanism that is switched off changes the fit."""

from types import SimpleNamespace

import pytest
from numpy.testing import assert_allclose

from benchmark_modules import benchmark
from sknn_simple import LogisticNN, OneHiddenMLP

mechanism_cases = benchmark("mechanism_cases")
mechanisms = benchmark("mechanisms")

FIVE_CLASSES = mechanism_cases.gaussian(500, 20, 5)
MORE_ROWS = mechanism_cases.gaussian(6000, 20, 5)
# The smallest fits on which each mechanism acts.
ACTS_ON = {
    "leverage": (LogisticNN(), mechanism_cases.rare(6000, columns=3)),
    "by_blocks": (LogisticNN(), FIVE_CLASSES),
    "longer_steps": (LogisticNN(), mechanism_cases.gaussian(100, 3)),
    "sample": (LogisticNN(), mechanism_cases.gaussian(12_000, 20)),
    "row_space": (LogisticNN(alpha=1.0), mechanism_cases.collinear(30, 50)),
    "float32": (OneHiddenMLP(80, alpha=1.0, random_state=0, max_iter=2), FIVE_CLASSES),
    # By default 59 pairs are stored.
    "lbfgs": (OneHiddenMLP(42, alpha=1.0, random_state=0, max_iter=70), FIVE_CLASSES),
    "rounding": (OneHiddenMLP(5, alpha=1.0, random_state=0, max_iter=2), FIVE_CLASSES),
    "rescaling": (LogisticNN(alpha=0.1), mechanism_cases.topics(600, 2000, 3)),
    "sparse_blocks": (
        OneHiddenMLP(300, alpha=1.0, random_state=0, max_iter=2),
        mechanism_cases.topics(1000, 3000, 3),
    ),
    "blocks": (OneHiddenMLP(100, alpha=1.0, random_state=0, max_iter=2), MORE_ROWS),
}


def mechanism_case(name):
    return mechanism_cases.Case(name, *ACTS_ON[name])


def course(model):
    """Return what tells two fits apart to the last bit."""
    arrays = getattr(model, "coefs_", None) or [model.coef_]
    return model.loss_curve_, [array.tolist() for array in arrays]


@pytest.mark.parametrize("name", mechanisms.MECHANISMS)
def test_a_mechanism_that_is_switched_off_changes_the_fit(name):
    case, ways = mechanism_case(name), mechanisms.MECHANISMS[name].off
    on = mechanisms.fit(case, mechanisms.Off())
    for off in ways.values():
        model = mechanisms.fit(case, off)
        assert course(model) != course(on)
        assert_allclose(model.loss_, on.loss_, rtol=0.1)
    assert course(mechanisms.fit(case, mechanisms.Off())) == course(on)


def test_fits_are_compared_by_their_iterations_to_a_common_goal():
    one = SimpleNamespace(loss_=1.0, loss_curve_=[9.0, 1.002, 1.0])
    other = SimpleNamespace(loss_=0.5, loss_curve_=[9.0, 2.0, 1.1, 0.5])
    assert mechanisms.common_goal(one, other) == [1, 3]


@pytest.mark.parametrize("name", ["by_blocks", "sample", "leverage"])
def test_mechanisms_of_a_plan_change_its_solver_or_its_iterations(name):
    off, *_ = mechanisms.MECHANISMS[name].off.values()
    with_it, without = (
        mechanisms.fit(mechanism_case(name), way) for way in (mechanisms.Off(), off)
    )
    assert (with_it.solver_, with_it.n_iter_) != (without.solver_, without.n_iter_)


def test_mechanisms_are_measured_without_a_folder(tmp_path, capsys):
    tiny = {}
    for name, mechanism in mechanisms.MECHANISMS.items():
        assert isinstance(next(mechanism.cases(tmp_path)), mechanism_cases.Case)
        case = mechanism_case(name)
        tiny[name] = mechanism._replace(cases=lambda folder, case=case: [case])
    mechanisms.main(["--least", "0", "--data", str(tmp_path)], tiny)
    printed = capsys.readouterr().out
    for name, mechanism in tiny.items():
        assert f"| {name} " in printed
        assert all(f"\n{way}: off / on " in printed for way in mechanism.off)
