"""
==================================================
Mixed columns, ColumnTransformer and a grid search
==================================================

Real tables have numbers in many units, categories and missing values. Both classifiers
are ordinary estimators: they are the last step of a ``Pipeline`` after a
``ColumnTransformer``, and ``GridSearchCV`` tunes preparation and network together. No
step has to scale the columns, and each fit chooses the strength of its penalty.
"""

# sphinx_gallery_thumbnail_number = 1

# %%
# A table of customers
# --------------------
#
# Generated: who leaves a telephone company. Money in cents, minutes, shares, two kinds
# of categories, and one value in twelve missing.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from sknn_simple import AlphaDisplay, LogisticNN, OneHiddenMLP


def make_customers(n_rows, seed):
    generator = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "bill_cents": generator.gamma(6, 700, n_rows).round(),
            "minutes": generator.gamma(3, 120, n_rows).round(1),
            "months": generator.integers(1, 72, n_rows).astype(float),
            "share_abroad": generator.beta(1, 8, n_rows).round(3),
            "contract": generator.choice(["monthly", "yearly", "two years"], n_rows),
            "region": generator.choice(list("ABCDEFGH"), n_rows),
        }
    )
    price = table["bill_cents"] / (60 + table["minutes"])
    z = (
        -1.2
        + 2.4 * np.tanh((price - 14) / 6)  # expensive for what is used
        + 2.2 * np.cos(table["months"] / 72 * 2 * np.pi)  # the new and the old ones
        + 1.0 * (table["contract"] == "monthly")
        + 0.6 * table["region"].isin(["B", "E"])
        + 2.0 * table["share_abroad"]
    )
    left = np.where(generator.uniform(size=n_rows) < expit(z), "leaves", "stays")
    holes = generator.uniform(size=table.shape) < 1 / 12
    return table.mask(holes), left


X, y = make_customers(3000, seed=0)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.4, stratify=y, random_state=0
)
print(X_train.head(4).to_string())
print(f"share that leaves: {np.mean(y == 'leaves'):.2f}")

# %%
# One pipeline, two classifiers
# -----------------------------
#
# Missing numbers are replaced, with a column that says where. Categorical columns are
# one-hot encoded; categories of fewer than twenty rows would share one column.

NUMBERS = ["bill_cents", "minutes", "months", "share_abroad"]
CATEGORIES = ["contract", "region"]


def pipeline(classifier):
    prepare = ColumnTransformer(
        [
            ("numbers", SimpleImputer(add_indicator=True), NUMBERS),
            (
                "categories",
                OneHotEncoder(min_frequency=20, handle_unknown="infrequent_if_exist"),
                CATEGORIES,
            ),
        ],
        sparse_threshold=0,
        verbose_feature_names_out=False,
    )
    return Pipeline([("prepare", prepare), ("classify", classifier)])


IMPUTERS = {"prepare__numbers__strategy": ["mean", "median"]}
SEARCHES = {
    "LogisticNN": GridSearchCV(
        pipeline(LogisticNN()),
        IMPUTERS,
        scoring="neg_log_loss",
        cv=3,
    ),
    "OneHiddenMLP": GridSearchCV(
        pipeline(OneHiddenMLP(random_state=0)),
        {"classify__hidden_layer_size": [4, 16], **IMPUTERS},
        scoring="neg_log_loss",
        cv=3,
    ),
}
test_loss = {}
baseline = DummyClassifier(strategy="prior").fit(X_train, y_train)
test_loss["shares only"] = log_loss(y_test, baseline.predict_proba(X_test))
for name, search in SEARCHES.items():
    search.fit(X_train, y_train)
    test_loss[name] = log_loss(y_test, search.predict_proba(X_test))
    best = {key.split("__")[-1]: value for key, value in search.best_params_.items()}
    print(f"{name}: {best}, alpha={search.best_estimator_[-1].alpha_:.2g}")
print("\ncross-validated log-loss of OneHiddenMLP, by units and imputer")
results = SEARCHES["OneHiddenMLP"].cv_results_
for params, score in zip(results["params"], results["mean_test_score"], strict=True):
    print(f"{-score:.3f}  {list(params.values())}")
print()
for name, loss in test_loss.items():
    print(f"test log-loss, {name:<13} {loss:.3f}")

# %%
# The picture
# -----------
#
# Left, how the best network chose the strength of its penalty. Right, the
# probabilities of the two models by month, averaged over 200 customers, compared with
# the shares in the training rows.

BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"
fig, (left, right) = plt.subplots(1, 2, figsize=(9.2, 4.1), layout="constrained")

best = SEARCHES["OneHiddenMLP"].best_estimator_
AlphaDisplay.from_estimator(best, ax=left, line_kw={"color": BLUE})
left.set_title("The choice of alpha")

months = np.arange(1, 72, 2)
sample = X_train.sample(200, random_state=0)
table = sample.loc[sample.index.repeat(len(months))].copy()
table["months"] = np.tile(months, len(sample)).astype(float)
for name, colour in (("LogisticNN", ORANGE), ("OneHiddenMLP", BLUE)):
    search = SEARCHES[name]
    chance = search.predict_proba(table)[:, list(search.classes_).index("leaves")]
    mean = chance.reshape(len(sample), len(months)).mean(axis=0)
    right.plot(months, mean, color=colour, lw=2, label=name)
bins = pd.cut(X_train["months"], np.arange(0, 73, 6))
leaves = pd.Series(y_train == "leaves", index=X_train.index)
shares = leaves.groupby(bins, observed=True).mean()
right.plot(
    [b.mid for b in shares.index],
    shares,
    "o",
    color="0.45",
    label="share in the training rows",
)
right.set(
    xlabel="months",
    ylabel="probability of leaving",
    title="New and old customers",
    ylim=(0, None),
)
right.legend(frameon=False)
for ax in (left, right):
    ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# Conclusion
# ----------

for name in ("LogisticNN", "OneHiddenMLP"):
    print(
        f"{name}: {test_loss['shares only'] - test_loss[name]:.3f} "
        "below the shares alone"
    )
assert test_loss["OneHiddenMLP"] < test_loss["LogisticNN"] - 0.02
assert np.ptp(results["mean_test_score"]) < 0.02

# %%
# - Both classifiers use the same preparation, and no step scales: a bill in cents and a
#   share between 0 and 1 are used as they are.
# - The network is clearly better here, because the generated table has effects that are
#   not linear: both new and old customers leave, and the effect of a bill depends on
#   what it buys. On the right, ``LogisticNN`` can only change the slope of its line.
# - Neither needs a search for ``alpha``. At the strengths that the fits choose, four
#   and sixteen units are close.
