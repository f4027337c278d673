"""alpha=0: the coefficients of published tables, with every solver.

- Spector and Mazzeo (1980): the data and the logit estimates are those of Greene, W. H.
  (2003). Econometric Analysis, 5th edition, tables F21.1 and 21.1.
- mtcars: Henderson, H. V., Velleman, P. F. (1981). Building multiple regression models
  interactively. Biometrics 37(2), 391-411. The estimates are those that R prints for
  ``glm(am ~ hp + wt, family = binomial)`` and ``glm(am ~ wt, …)``.
- Low birth weight: see ``test_estimates_are_those_of_stata``.
- Other tables, such as ANES 1996, are compared with statsmodels, which tests its own
  estimates against Stata's.
"""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from models import each_solver
from sknn_simple import LogisticNN, Posterior

GPA = """2.66 2.89 3.28 2.92 4.00 2.86 2.76 2.87 3.03 3.92 2.63 3.32 3.57 3.26 3.53 2.74
2.75 2.83 3.12 3.16 2.06 3.62 2.89 3.51 3.54 2.83 3.39 2.67 3.65 4.00 3.10 2.39"""
TUCE = """20 22 24 12 21 17 17 21 25 29 20 23 23 25 26 19 25 19 23 25 22 28 14 26 24
27 17 24 21 23 21 19"""
PSI = "0 " * 18 + "1 " * 14
GRADE = "0 0 0 0 1 0 0 0 0 1 0 0 0 1 0 0 0 0 0 1 0 1 0 0 1 1 1 0 1 1 0 1"
WT = """2.62 2.875 2.32 3.215 3.44 3.46 3.57 3.19 3.15 3.44 3.44 4.07 3.73 3.78 5.25
5.424 5.345 2.2 1.615 1.835 2.465 3.52 3.435 3.84 3.845 1.935 2.14 1.513 3.17 2.77 3.57
2.78"""
HP = """110 110 93 110 175 105 245 62 95 123 123 180 180 180 205 215 230 66 52 65 97 150
150 245 175 66 91 113 264 175 335 109"""
AM = "1 1 1 " + "0 " * 14 + "1 1 1 0 0 0 0 0 " + "1 " * 7


def columns(*texts):
    return np.column_stack([np.array(text.split(), float) for text in texts])


# Columns, target, then coefficients, intercept and log-likelihood as printed.
TABLES = {
    "Spector": (
        columns(GPA, TUCE, PSI),
        columns(GRADE)[:, 0],
        ([2.826113, 0.0951577, 2.378688], -13.02135, -12.88963),
    ),
    "mtcars, wt": (columns(WT), columns(AM)[:, 0], ([-4.023970], 12.04037, -9.588042)),
    "mtcars, hp and wt": (
        columns(HP, WT),
        columns(AM)[:, 0],
        ([0.03625556, -8.083475], 18.86630, -5.029552),
    ),
}


@pytest.mark.parametrize("table", TABLES)
@each_solver
def test_estimates_are_those_of_the_table(solver, table):
    X, y, (coef, intercept, log_likelihood) = TABLES[table]
    model = LogisticNN(alpha=0, tol=1e-8, solver=solver).fit(X, y)
    # The tables have seven digits.
    assert_allclose(model.coef_[0], coef, rtol=2e-6)
    assert_allclose(model.intercept_, intercept, rtol=1e-6)
    assert_allclose(-len(y) * model.loss_, log_likelihood, rtol=1e-6)


def low_birth_weight():
    """The rows of Hosmer and Lemeshow, which statsmodels brings for its tests."""
    pandas = pytest.importorskip("pandas")
    statsmodels = pytest.importorskip("statsmodels")
    results = Path(statsmodels.__file__).parent / "genmod" / "tests" / "results"
    path = results / "stata_lbw_glm.csv"
    if not path.exists():
        pytest.skip("statsmodels is installed without its tests")
    frame = pandas.read_csv(path)
    races = [(frame["race"] == race).astype(float) for race in ("black", "other")]
    numbers = [frame[name] for name in ("age", "lwt", "smoke", "ptl", "ht", "ui")]
    X = np.column_stack([*numbers[:2], *races, *numbers[2:]]).astype(float)
    return X, frame["low"].to_numpy()


@each_solver
def test_estimates_are_those_of_stata(solver):
    """Hosmer, D. W., Lemeshow, S. (1989), as in Stata's manual, entry "logit"."""
    X, y = low_birth_weight()
    model = LogisticNN(alpha=0, tol=1e-8, solver=solver).fit(X, y)
    coef = [-0.0271003, -0.0151508, 1.262647, 0.8620792, 0.9233448, 0.5418366]
    # Printed with seven digits.
    assert_allclose(model.coef_[0], [*coef, 1.832518, 0.7585135], rtol=4e-6)
    assert_allclose(model.intercept_, 0.4612239, rtol=2e-6)
    assert_allclose(-len(y) * model.loss_, -100.724, rtol=1e-5)
    errors = [0.0364504, 0.0069259, 0.5264101, 0.4391532, 0.4008266, 0.346249]
    posterior = Posterior(model, X, y)
    found = posterior.std_errors.ravel()
    expected = [*errors, 0.6916292, 0.4593768, 1.20459]
    assert_allclose(found, expected, rtol=2e-5)


@pytest.mark.parametrize("name", ["anes96", "spector", "fair"])
@each_solver
def test_estimates_are_those_of_statsmodels(solver, name):
    datasets = pytest.importorskip("statsmodels.datasets")
    discrete = pytest.importorskip("statsmodels.discrete.discrete_model")
    data = getattr(datasets, name).load_pandas()
    X, y = data.exog.to_numpy(float), data.endog.to_numpy(float)
    y = (y > 0.0).astype(float) if name == "fair" else y
    X = X[:, X.std(axis=0) > 0.0]
    kind = discrete.MNLogit if len(np.unique(y)) > 2 else discrete.Logit
    design = np.column_stack([np.ones(len(y)), X])
    peer = kind(y, design).fit(method="newton", tol=1e-14, disp=False)
    model = LogisticNN(alpha=0, tol=1e-8, solver=solver).fit(X, y)
    coef = np.column_stack([model.intercept_, model.coef_])
    coef = coef[1:] - coef[:1] if len(coef) > 1 else coef
    expected = np.asarray(peer.params).T.reshape(coef.shape)
    assert_allclose(coef, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max() / 100)
    assert_allclose(-len(y) * model.loss_, peer.llf, rtol=1e-9)
