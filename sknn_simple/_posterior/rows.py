"""What a posterior says about rows: effects, averaged probabilities, odd rows."""

from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import expit

from sknn_simple._data.moments import LARGEST_VALUE
from sknn_simple._inference import averaging, left_out
from sknn_simple._inference.core import Inference
from sknn_simple._inference.effects import Effects, marginal_effects
from sknn_simple._inference.raw import has_free_weight, undetermined
from sknn_simple._inference.summary import (
    import_pandas,
    interval_table,
    interval_width,
)
from sknn_simple._input.validation import validate_features
from sknn_simple._prediction import shortened


class PosteriorRowsMixin:
    """The methods of a posterior that work on rows."""

    model: Any
    _inference: Inference
    # X and the codes of all rows, and the mask of those with weight 0; None if none is.
    _all_rows: tuple[Any, np.ndarray, np.ndarray] | None
    _names: list[str]

    def marginal_effects(self, X: Any = None, confidence_level: float = 0.95) -> Any:
        """Return the average effect of each column on the probability of each class.

        For a column with two values it is the mean difference of the probability
        between the larger and the smaller value (0 → 1); for others the mean
        derivative, the change of the probability per unit of the column.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, n_features), default=None
            The rows over which effects are averaged. By default those of the fit, with
            their sample weights (without class weights).
        confidence_level : float, default=0.95
            Between 0 and 1.

        Returns
        -------
        frame : pandas.DataFrame
            A row per column and class (or label), with "name", "class" (or "label"),
            "effect", "std_error", "z", "p_value", "lower" and "upper". For two classes
            only the effect on the second one: that on the first is its negative. The
            intervals are those of the delta method; NaN for a column without a free
            weight, because it is constant or bounds of ``monotonic_cst`` hold it.

        Examples
        --------
        >>> from sklearn.datasets import load_breast_cancer
        >>> from sknn_simple import OneHiddenMLP, Posterior
        >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
        >>> X = X[["mean radius", "mean texture"]]
        >>> model = OneHiddenMLP(5, "tanh", alpha=1, random_state=0).fit(X, y)
        >>> frame = Posterior(model, X, y).marginal_effects()
        >>> bool((frame["effect"] < 0).all())  # larger cells: less likely benign
        True
        """
        width = interval_width(confidence_level)
        pd = import_pandas("Posterior.marginal_effects")
        found = self._effects(X)
        classes = self.model.classes_
        labels = classes[1:] if self._is_binary else classes
        effect, std_error = found.effect.ravel(), found.std_error.ravel()
        return pd.DataFrame(
            {
                "name": np.repeat(self._names, len(labels)),
                "label" if self._inference.rows.multilabel else "class": np.tile(
                    labels, len(self._names)
                ),
                "effect": effect,
                **interval_table(effect, std_error, width),
            }
        )

    def _effects(self, X: Any = None) -> Effects:
        """Return the effects as arrays, (n_features, n_outputs)."""
        rows = self._inference.rows
        frequency = rows.frequency
        if X is None:
            X = rows.X
        else:
            X = self._known_features(X)
            frequency = np.ones(X.shape[0])
        found = marginal_effects(self._inference, X, frequency)
        open_ = undetermined(self._inference)[: len(self._names)]
        found.std_error[open_ | ~has_free_weight(self._inference)] = np.nan
        return found

    def _known_features(self, X: Any) -> Any:
        """Return X as an array or CSR.

        Raises ValueError if its columns are not those of the fit, or if a column that
        is the intercept of the model has another value.
        """
        X = validate_features(self.model, X)
        own = self._inference.outputs.own_intercept
        if own is not None:
            column, value = own
            values = X[:, [column]]
            # A column of float32 is constant if its range is below 1e-6 of its values.
            if not np.allclose([values.min(), values.max()], value, atol=0.0):
                raise ValueError(
                    f"Column {column} of X is the intercept of the model: it must be "
                    f"{value:g} in every row."
                )
        # No fit takes such rows, whose squares may leave the range of float64.
        return shortened(X) if float(np.abs(X).max()) > LARGEST_VALUE else X

    def predict_proba(self, X: Any) -> np.ndarray:
        r"""Return the probability of each class, averaged over the posterior.

        With the variance v of a raw output z the probability of a two-class or
        multilabel target is :math:`\sigma(z / \sqrt{1 + \pi v / 8})` (MacKay 1992). For
        three or more classes the same is done with the differences of raw outputs (Lu
        et al. 2020). Averaged probabilities are less extreme than those of the model,
        most of all far from the training rows.

        The Gaussian of a hidden layer is too wide where probabilities are near 0 or 1.
        For OneHiddenMLP its covariance is multiplied by a factor from 0 to 1: the one
        with which the averages of rows left out have the lowest log-loss.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, n_features)
            Features.

        Returns
        -------
        probability : ndarray of shape (n, n_classes) or (n, n_labels)
            In the order of ``classes_``; as ``predict_proba`` of the model.

        References
        ----------
        MacKay, D. J. C. (1992). The evidence framework applied to classification
        networks. Neural Computation 4(5), 720-736.
        Lu, Z., Ie, E., Sha, F. (2020). Mean-field approximation to Gaussian-softmax
        integral with application to uncertainty estimation. arXiv:2006.07584.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sknn_simple import LogisticNN, Posterior
        >>> X, y = load_iris(return_X_y=True)
        >>> model = LogisticNN().fit(X, y)
        >>> averaged = Posterior(model, X, y).predict_proba(10 * X)
        >>> bool(averaged.max() < model.predict_proba(10 * X).max())
        True
        """
        X = self._known_features(X)
        with np.errstate(under="ignore"):
            raw = averaging.averaged_outputs(self._inference, X, self._tempering)
            if self._is_binary:  # 1 - p would lose the digits of a small probability
                raw = np.hstack([-raw, raw])
            return self._inference.outputs.loss.probabilities(raw)

    @cached_property
    def _tempering(self) -> float:
        return left_out.best_tempering(self._inference)

    def predict_interval(
        self, X: Any, confidence_level: float = 0.95
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return intervals of the probabilities of the classes.

        They are those of the logit of each probability (by the delta method for three
        or more classes), mapped to probabilities: between 0 and 1. They tell how sure
        the probability is, not the class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, n_features)
            Features.
        confidence_level : float, default=0.95
            Between 0 and 1.

        Returns
        -------
        lower, upper : ndarray of shape (n, n_classes) or (n, n_labels)
            In the order of ``classes_``.

        Examples
        --------
        >>> from sklearn.datasets import load_breast_cancer
        >>> from sknn_simple import LogisticNN, Posterior
        >>> X, y = load_breast_cancer(return_X_y=True)
        >>> model = LogisticNN().fit(X, y)
        >>> lower, upper = Posterior(model, X, y).predict_interval(X)
        >>> p = model.predict_proba(X)
        >>> bool(((lower <= p) & (p <= upper)).all())
        True
        """
        width = interval_width(confidence_level)
        X = self._known_features(X)
        with np.errstate(under="ignore"):
            lower, upper = averaging.logit_intervals(self._inference, X, width)
            if self._is_binary:
                lower, upper = np.hstack([-upper, lower]), np.hstack([-lower, upper])
            return expit(lower), expit(upper)

    @property
    def _is_binary(self) -> bool:
        n_outputs = self._inference.outputs.n_outputs
        return n_outputs == 1 and not self._inference.rows.multilabel

    def leave_one_out(self) -> np.ndarray:
        r"""Return the log-loss of each row, as if it had not been trained on.

        Without row i the parameters are :math:`\hat\theta` after one Newton step, whose
        raw outputs in the row are :math:`z + (I - V \Lambda)^{-1} V g`, with the row's
        gradient g and curvature :math:`\Lambda` by z, both times its weight, and the
        covariance V of z (Pregibon 1981; Rad and Maleki 2020). In small tables a second
        step is taken for LogisticNN. alpha and the units of the columns stay those of
        the fit. Rows with a large log-loss are odd: often their label is wrong.

        Returns
        -------
        log_loss : ndarray of shape (n_samples,)
            Without its weight; summed over the labels of a multilabel target. A row of
            weight 0 was not trained on: its log-loss is that of the model.

        References
        ----------
        Pregibon, D. (1981). Logistic regression diagnostics. Annals of Statistics 9(4),
        705-724.
        Rad, K. R., Maleki, A. (2020). A scalable estimate of the out-of-sample
        prediction error via approximate leave-one-out cross-validation. Journal of the
        Royal Statistical Society B 82(4), 965-996.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sknn_simple import LogisticNN, Posterior
        >>> X, y = load_iris(return_X_y=True)
        >>> y[3] = 2  # a wrong label
        >>> int(Posterior(LogisticNN().fit(X, y), X, y).leave_one_out().argmax())
        3
        """
        trained = left_out.leave_one_out(self._inference)
        if self._all_rows is None:
            return trained
        X, codes, has_no_weight = self._all_rows
        found = np.empty(len(has_no_weight))
        found[~has_no_weight] = trained
        codes = codes[has_no_weight]
        if self._is_binary:
            codes = codes[:, None].astype(np.float64)
        losses = [
            left_out.row_losses(self._inference, block.raw, codes[block.rows])
            for block in self._inference.outputs.blocks(X[has_no_weight])
        ]
        found[has_no_weight] = np.concatenate(losses)
        return found

    @cached_property
    def leverage(self) -> np.ndarray:
        """Effective parameters that each row determines, tr(Λ V), (n_samples,).

        They sum to ``n_effective``. A row of weight 0 determines nothing.
        """
        trained = left_out.leverage(self._inference)
        if self._all_rows is None:
            return trained
        found = np.zeros(len(self._all_rows[2]))
        found[~self._all_rows[2]] = trained
        return found
