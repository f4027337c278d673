"""
==========================
Sparse text classification
==========================

A table of word counts has thousands of columns, and nearly all of its entries are zero.
Both classifiers train on the sparse table and do not make it dense: to standardise
sparse data they divide by the columns' standard deviations and do not shift the
entries.
"""

# sphinx_gallery_thumbnail_number = 1

# %%
# Help messages
# -------------
#
# The data are generated: requests to a help desk about four subjects, with words that
# they share, some words of other subjects, rare words, and spelling errors.

import textwrap
import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from sknn_simple import LogisticNN, OneHiddenMLP

WORDS = {
    "billing": "invoice charge refund payment card amount price tax receipt paid",
    "delivery": "parcel courier address late arrived box tracking shipped lost door",
    "account": "password login email locked reset username profile code sign phone",
    "returns": "return broken size exchange label defect wrong colour damaged item",
}
COMMON = """
    the my please help is not I have a for with you and to it was order customer number
    when again still today thanks can of on but this got hello
"""
TOPICS = list(WORDS)


def make_messages(n_messages, seed):
    """Return messages and their subjects."""
    generator = np.random.default_rng(seed)
    messages, topics = [], []
    for _ in range(n_messages):
        topic = TOPICS[generator.integers(4)]
        words = list(generator.choice(COMMON.split(), generator.integers(6, 20)))
        words += list(generator.choice(WORDS[topic].split(), generator.integers(1, 4)))
        if generator.uniform() < 0.6:  # another subject comes up too
            other = TOPICS[generator.integers(4)]
            words += list(generator.choice(WORDS[other].split(), 1))
        # Names and numbers of which most occur once: columns without meaning.
        words += [f"ref{number}" for number in generator.zipf(1.2, 6) % 20_000]
        for i in np.flatnonzero(generator.uniform(size=len(words)) < 0.05):
            words[i] = words[i][:-1] + generator.choice(list("aeiou"))
        generator.shuffle(words)
        messages.append(" ".join(words))
        topics.append(topic)
    return messages, topics


messages, topics = make_messages(4000, seed=0)
print(textwrap.fill(f"{topics[0]}: {messages[0]}", 84))
train, test, y_train, y_test = train_test_split(
    messages, topics, train_size=2000, stratify=topics, random_state=0
)
X_train = TfidfVectorizer().fit_transform(train)
filled = X_train.nnz / np.prod(X_train.shape)
print(f"{X_train.shape[1]} columns, {filled:.2%} of the entries are not zero")

# %%
# Four classifiers
# ----------------
#
# A word that occurs once has a tiny standard deviation. Divided by it, the word is as
# important as any other, and thousands of such words can outweigh the few that matter.
# Word counts all have the same unit, so ``standardize=False`` can be the better choice;
# ``alpha`` then has the same meaning as in ``LogisticRegression``. Each model uses the
# ``alpha`` that cross-validation with two folds chooses; the seconds are those of its
# last fit, on all training rows and one thread.

HIDDEN = OneHiddenMLP(10, random_state=0)
MODELS = {
    "MultinomialNB": MultinomialNB(),
    "LogisticNN": LogisticNN(standardize=False),
    "LogisticNN, standardised": LogisticNN(),
    "OneHiddenMLP": clone(HIDDEN).set_params(standardize=False),
    "OneHiddenMLP, standardised": HIDDEN,
}
ALPHAS = [0.1, 1.0, 10.0]
fitted, loss, seconds = {}, {}, {}
limits = threadpool_limits(1)
for name, model in MODELS.items():
    search = GridSearchCV(
        make_pipeline(TfidfVectorizer(), model),
        {f"{type(model).__name__.lower()}__alpha": ALPHAS},
        scoring="neg_log_loss",
        cv=2,
    ).fit(train, y_train)
    fitted[name], seconds[name] = search.best_estimator_, search.refit_time_

# LogisticRegression gets the choice of LogisticNN: it has the same objective.
name = "LogisticRegression"
alpha = fitted["LogisticNN"][-1].alpha
peer = LogisticRegression(C=1 / alpha, tol=1e-6, max_iter=1000)
start = time.perf_counter()
fitted[name] = make_pipeline(TfidfVectorizer(), peer).fit(train, y_train)
seconds[name] = time.perf_counter() - start
limits.restore_original_limits()

names = ["MultinomialNB", "LogisticRegression", *list(MODELS)[1:]]
print(f"{'':<28}alpha  test accuracy  test log-loss  seconds")
for name in names:
    loss[name] = log_loss(y_test, fitted[name].predict_proba(test))
    print(
        f"{name:<28}{getattr(fitted[name][-1], 'alpha', alpha):>5g}"
        f"{fitted[name].score(test, y_test):>15.3f}{loss[name]:>15.3f}"
        f"{seconds[name]:>9.2f}"
    )

# %%
# The picture
# -----------
#
# Left: the losses. Right: the words with the largest weights in ``LogisticNN``. They
# are nearly the list from which the messages were generated.

BLUE, GREY = "#0072B2", "#8a8a8a"
fig = plt.figure(figsize=(10.4, 4.6), layout="constrained")
left, right = fig.subfigures(1, 2, width_ratios=(1, 1.15))
ax = left.subplots()
colours = [BLUE if "NN" in name or "Hidden" in name else GREY for name in names]
bars = ax.barh(names, [loss[name] for name in names], color=colours, height=0.6)
ax.bar_label(bars, fmt="{:.3f}", padding=4)
ax.invert_yaxis()
ax.set_xlim(0, 1.15 * max(loss.values()))
ax.set_xlabel("test log-loss")
ax.tick_params(axis="y", length=0)
ax.spines[["top", "right"]].set_visible(False)

vectorizer, linear = fitted["LogisticNN"]
vocabulary = vectorizer.get_feature_names_out()
for ax, subject, weights in zip(
    right.subplots(2, 2, sharex=True).flat, linear.classes_, linear.coef_, strict=True
):
    top = np.argsort(-weights)[:8]
    ax.barh(vocabulary[top], weights[top], color=BLUE, height=0.6)
    ax.invert_yaxis()
    ax.set_title(subject, loc="left")
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right"]].set_visible(False)
right.supxlabel("weight in LogisticNN", fontsize="medium")
plt.show()

# %%
# Conclusion
# ----------

gap = np.abs(
    fitted["LogisticNN"].predict_proba(test)
    - fitted["LogisticRegression"].predict_proba(test)
).max()
print(f"LogisticNN and LogisticRegression: probabilities differ by at most {gap:.1g}")
hits = [
    len(set(vocabulary[np.argsort(-weights)[:8]]) & set(WORDS[subject].split()))
    for subject, weights in zip(linear.classes_, linear.coef_, strict=True)
]
print(f"of the eight strongest words, meant for the subject: {hits}")
assert gap < 0.01
assert min(hits) >= 7
assert loss["LogisticNN, standardised"] > 1.3 * loss["LogisticNN"]
assert abs(loss["OneHiddenMLP"] - loss["LogisticNN"]) < 0.03
assert seconds["OneHiddenMLP"] > 3 * seconds["LogisticNN"]

# %%
# - Without standardising, ``LogisticNN`` is ``LogisticRegression``: same objective,
#   same model, and its weights point at the right words.
# - Standardising, the default, can do harm on words, also with an ``alpha`` that was
#   chosen for it: here it gives the many rare words as much influence as the few that
#   matter. It is meant for columns in different units. On other texts a larger
#   ``alpha`` can make up for it.
# - A hidden layer gains nothing here, because the subject is close to a weighted count
#   of words. It takes several times as long.
