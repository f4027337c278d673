"""Both classifiers for more rows than memory, and for clusters: on Dask collections.

They need the extra ``dask``: ``pip install "sknn_simple[dask]"``.
"""

from importlib.util import find_spec
from typing import Any, ClassVar

from sknn_simple._input.parameters import explains_names
from sknn_simple._logistic import LogisticNN
from sknn_simple._mlp import OneHiddenMLP
from sknn_simple._on_chunks import OnChunks, documented_by
from sknn_simple._version import how_to_install

__all__ = ["DaskLogisticNN", "DaskOneHiddenMLP"]

if find_spec("dask") is None or find_spec("distributed") is None:
    raise ImportError(
        "sknn_simple.dask needs Dask and its distributed scheduler: "
        f"{how_to_install('dask')}."
    )


class DaskLogisticNN(OnChunks, LogisticNN):
    """Logistic and softmax regression for Dask collections.

    The model, its parameters and its optimum are those of :class:`LogisticNN
    <sknn_simple.LogisticNN>`. X stays in its chunks: parameters travel to the chunks,
    and one sum of gradients comes back. A fit makes one pass over the labels, one over
    the rows for the moments and a sample of them, and then two to six for the optimum,
    because the optimum of the sample is the start and its Hessian the preconditioner.
    Without a penalty, with a rare column or with another solver it makes up to eleven.
    With alpha="auto" each round adds one to five passes.

    Read more in the :ref:`User Guide <guide_dask>`.

    Parameters
    ----------
    alpha, fit_intercept, standardize, solver, max_iter, tol : object
        As for :class:`LogisticNN <sknn_simple.LogisticNN>`.
    class_weight, monotonic_cst, warm_start, verbose : object
        As for :class:`LogisticNN <sknn_simple.LogisticNN>`.
    client : distributed.Client, default=None
        Whose workers compute. None takes the client of this process if there is one,
        and else Dask's local scheduler, which reads the chunks anew in every pass.
    persist : bool, default=True
        With a client: whether the workers keep the rows in memory during the fit. False
        reads the chunks anew in every pass, for more rows than memory.

    Attributes
    ----------
    coef_, intercept_, classes_, alpha_, loss_, loss_curve_, n_iter_, converged_, …
        As for :class:`LogisticNN <sknn_simple.LogisticNN>`.

    See Also
    --------
    sknn_simple.LogisticNN : The same model for rows in memory.
    sklearn.linear_model.SGDClassifier : Learns batch by batch, with ``partial_fit``.
    DaskOneHiddenMLP : The network with one hidden layer for Dask collections.

    Notes
    -----
    The bits of a fit depend on the chunks of X, not on the number of workers, nor on
    whether a worker died meanwhile.

    Examples
    --------
    >>> import dask.array as da
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sknn_simple.dask import DaskLogisticNN
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> X, y = da.from_array(X, chunks=(100, 30)), da.from_array(y, chunks=100)
    >>> model = DaskLogisticNN().fit(X, y)
    >>> model.predict(X)
    dask.array<_predict, shape=(569,), dtype=int64, chunksize=(100,), ...>
    >>> model.score(X, y) > 0.98
    True
    """

    _local = LogisticNN
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **LogisticNN._parameter_constraints,
        **OnChunks._parameter_constraints,
    }

    @explains_names
    def __init__(
        self,
        alpha: float | str = "auto",
        *,
        fit_intercept: bool = True,
        standardize: bool = True,
        solver: str = "auto",
        max_iter: int = 1000,
        tol: float = 1e-5,
        class_weight: Any = None,
        monotonic_cst: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        client: Any = None,
        persist: bool = True,
    ) -> None:
        self._store(locals())


class Transforming(OnChunks):
    """Has the method `transform`.

    It is not defined in the class of the estimator, because scikit-learn would wrap it
    there for ``set_output``, and compute what is lazy. For rows in memory it calls the
    method of `OneHiddenMLP`, which is wrapped.
    """

    @documented_by(OneHiddenMLP.transform)
    def transform(self, X: Any) -> Any:
        """Return the activations of the hidden layer."""
        return self._predict_anywhere("transform", X)


class DaskOneHiddenMLP(Transforming, OneHiddenMLP):
    """The network with one hidden layer for Dask collections.

    The model and its parameters are those of :class:`OneHiddenMLP
    <sknn_simple.OneHiddenMLP>`. X stays in its chunks: parameters travel to the chunks,
    and one sum of gradients comes back. The network is first trained on a sample of the
    rows, roughly, and then on all of them. With alpha="auto" the sample is
    cross-validated.

    Read more in the :ref:`User Guide <guide_dask>`.

    Parameters
    ----------
    hidden_layer_size, activation, alpha, cv, standardize, skip_connections : object
        As for :class:`OneHiddenMLP <sknn_simple.OneHiddenMLP>`; the folds of ``cv`` are
        made from the sample.
    solver, max_iter, tol, n_init, n_jobs, early_stopping : object
        As for :class:`OneHiddenMLP <sknn_simple.OneHiddenMLP>`. ``n_jobs`` is for the
        sample; starts are trained one after the other. Early stopping sets a share of
        the rows of every chunk aside.
    validation_fraction, n_iter_no_change, class_weight, monotonic_cst : object
        As for :class:`OneHiddenMLP <sknn_simple.OneHiddenMLP>`.
    warm_start, random_state, verbose : object
        As for :class:`OneHiddenMLP <sknn_simple.OneHiddenMLP>`.
    client : distributed.Client, default=None
        Whose workers compute. None takes the client of this process if there is one,
        and else Dask's local scheduler, which reads the chunks anew in every pass.
    persist : bool, default=True
        With a client: whether the workers keep the rows in memory during the fit. False
        reads the chunks anew in every pass, for more rows than memory.

    Attributes
    ----------
    coefs_, intercepts_, classes_, alpha_, loss_, loss_curve_, n_iter_, converged_, …
        As for :class:`OneHiddenMLP <sknn_simple.OneHiddenMLP>`.

    See Also
    --------
    sknn_simple.OneHiddenMLP : The same model for rows in memory.
    sklearn.neural_network.MLPClassifier : Learns batch by batch, with ``partial_fit``.
    DaskLogisticNN : Logistic and softmax regression for Dask collections.

    Examples
    --------
    >>> import dask.array as da
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sknn_simple.dask import DaskOneHiddenMLP
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> X, y = da.from_array(X, chunks=(100, 30)), da.from_array(y, chunks=100)
    >>> model = DaskOneHiddenMLP(5, alpha=1.0, random_state=0).fit(X, y)
    >>> model.transform(X)
    dask.array<_predict, shape=(569, 5), dtype=float64, chunksize=(100, 5), ...>
    >>> model.score(X, y) > 0.98
    True
    """

    _local = OneHiddenMLP
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **OneHiddenMLP._parameter_constraints,
        **OnChunks._parameter_constraints,
    }

    @explains_names
    def __init__(
        self,
        hidden_layer_size: int = 100,
        activation: str = "relu",
        *,
        alpha: float | str = "auto",
        cv: Any = 5,
        standardize: bool = True,
        skip_connections: bool = False,
        solver: str = "auto",
        max_iter: int = 1000,
        tol: float = 1e-3,
        n_init: int = 1,
        n_jobs: int | None = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        class_weight: Any = None,
        monotonic_cst: Any = None,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
        client: Any = None,
        persist: bool = True,
    ) -> None:
        self._store(locals())
