"""
===========================
What matters, and how sure?
===========================

Which measurements tell a malignant tumour from a benign one, and how sure is that?
``Posterior`` gives the intervals of a fitted model, and ``CoefficientDisplay`` draws
them. If columns are nearly the same measurement, the interval of a single column is
wide, and a test of several columns at once is needed. With fewer columns the answer is
a table of coefficients and odds ratios.
"""

# sphinx_gallery_thumbnail_number = 1

# %%
# Thirty measurements of ten properties
# -------------------------------------
#
# 569 tumours. Each property of the cell nuclei was measured as a mean, as the error of
# the mean, and as the mean of the three worst nuclei.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer

from sknn_simple import CoefficientDisplay, LogisticNN, OneHiddenMLP, Posterior

data = load_breast_cancer(as_frame=True)
X, malignant = data.data, (data.target == 0).astype(int)
NAMES = ["benign", "malignant"]
model = LogisticNN().fit(X, malignant)
posterior = Posterior(model, X, malignant)
table = posterior.summary().to_frame().set_index("name").drop(index="intercept")
sure = table[(table["lower"] > 0) | (table["upper"] < 0)]
print(f"deviance {posterior.deviance:.0f} of {posterior.null_deviance:.0f}")
print(f"effective parameters: {posterior.n_effective:.1f} of {X.shape[1] + 1}")
print(f"intervals without 0: {len(sure)} of {len(table)}")

# %%
# The picture of all columns
# --------------------------
#
# Coefficients are changes of the log odds per standard deviation.

_, ax = plt.subplots(figsize=(5.2, 5), layout="constrained")
CoefficientDisplay.from_posterior(posterior, class_names=NAMES, max_features=15, ax=ax)
plt.show()

# %%
# Most intervals hold 0, although the model explains most of the deviance. The columns
# of one property, and size in all its forms, are correlated: one can take the place of
# another. The Wald test asks whether all columns of a property may be 0 at once. With
# a penalty, tests are approximate.

properties = [name.removeprefix("mean ") for name in X.columns if "mean " in name]
columns_of = {
    each: [f"mean {each}", f"{each} error", f"worst {each}"] for each in properties
}
tests = pd.DataFrame(
    {each: posterior.wald_test(columns) for each, columns in columns_of.items()},
    index=["statistic", "df", "p_value"],
).T.sort_values("p_value")
print(tests.round(3).to_string())

size = [name for each in ("radius", "perimeter", "area") for name in columns_of[each]]
together = posterior.wald_test(size)
alone = tests.loc[["radius", "perimeter", "area"], "p_value"].min()
print(f"\nradius, perimeter and area: p >= {alone:.2f} of each property")
print(f"all nine columns together: p = {together.p_value:.4f}")

# %%
# Four columns, without a penalty
# -------------------------------
#
# One column per aspect: size, texture, smoothness, and shape. With few columns and many
# rows no penalty is needed, and the intervals are those of every textbook.

few = ["mean area", "mean texture", "mean smoothness", "mean concave points"]
small = X[few]
classical = Posterior(LogisticNN(alpha=0).fit(small, malignant), small, malignant)
print(classical.summary())

# %%
# An odds ratio belongs to the unit of its column, and one unit of smoothness is many
# times its whole range. Per standard deviation:

frame = classical.summary().to_frame().set_index("name").loc[few]
per_deviation = np.exp(frame[["coef", "lower", "upper"]].mul(small.std(), axis=0))
print(per_deviation.round(1).to_string())

# %%
# Does the mean concavity add something to these four? A test compares the likelihoods
# of the two models:

more = X[[*few, "mean concavity"]]
larger = Posterior(LogisticNN(alpha=0).fit(more, malignant), more, malignant)
added = larger.lr_test(classical)
print(f"chi-square {added.statistic:.2f} with {added.df} df, p = {added.p_value:.2f}")

# %%
# And with a hidden layer?
# ------------------------
#
# Single weights of a network mean nothing. Its marginal effects do: the change of the
# probability, averaged over the tumours. They are compared with those of the
# coefficients above.

network = OneHiddenMLP(10, "tanh", random_state=0).fit(small, malignant)
of_network = Posterior(network, small, malignant)
effects = {
    "LogisticNN": classical.marginal_effects().set_index("name"),
    "OneHiddenMLP": of_network.marginal_effects().set_index("name"),
}
for name, each in effects.items():
    print(name)
    scaled = each[["effect", "lower", "upper"]].mul(small.std(), axis=0).loc[few]
    print(scaled.round(3).to_string(), "\n")

_, left = plt.subplots(figsize=(4.6, 3.0), layout="constrained")
_, right = plt.subplots(figsize=(4.6, 3.0), layout="constrained")
CoefficientDisplay.from_posterior(classical, class_names=NAMES, ax=left)
CoefficientDisplay.from_posterior(of_network, class_names=NAMES, ax=right)
left.set_title("LogisticNN, alpha=0: coefficients")
right.set_title("OneHiddenMLP: effects")
plt.show()

# %%
# Conclusion
# ----------

one, other = effects.values()
overlap = (one["lower"] < other["upper"]) & (other["lower"] < one["upper"])
print(f"columns whose two effects have intervals that overlap: {overlap.sum()} of 4")
assert len(sure) < len(table) / 2
assert together.p_value < alone
assert posterior.deviance < 0.2 * posterior.null_deviance

# %%
# - Thirty correlated columns predict well, although the intervals of most coefficients
#   hold 0. That is no proof that the columns do not matter. Test them together.
# - The intervals of a penalised fit are Bayesian: they assume that weights are small.
#   For classical intervals choose few columns, and ``alpha=0``.
# - ``marginal_effects`` gives the effect of a column in probabilities, for a network
#   and for a linear model.
