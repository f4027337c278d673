"""The table of solvers, the one call of ``scipy.optimize.minimize``, and its result.

Every solver stops for the same reasons: the callback measures the gradient, counts
iterations and asks the caller; SciPy's own tolerances, which differ from method to
method (some on the step, some on the 2-norm), are switched off.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize
from scipy.optimize import OptimizeResult, minimize

from sknn_simple._optim.constraints import Bounds
from sknn_simple._optim.journey import Journey, Limits, Observer, Result
from sknn_simple._optim.lbfgs import lbfgs
from sknn_simple._optim.newton_cholesky import newton_cholesky
from sknn_simple._optim.problem import Problem


class Solver(NamedTuple):
    """One row of the table of solvers.

    Attributes
    ----------
    method : str or callable
        For ``scipy.optimize.minimize``.
    derivatives : tuple of str
        What it asks of a problem beyond value and gradient: "hessp", "hessian".
    bounds : bool
        Whether it can keep parameters within bounds.
    options : dict
        For ``minimize``; its own tests of convergence are switched off.
    reach : float, default=0.0
        By what factor the gradient may fall in one run; then the method is started
        afresh.
    draft_options : dict or None, default=None
        Its options, beside those above, for a draft in float32. None: not worth one.
    """

    method: str | Callable[..., OptimizeResult]
    derivatives: tuple[str, ...]
    bounds: bool
    options: dict[str, Any]
    reach: float = 0.0
    draft_options: dict[str, Any] | None = None

    @property
    def first_order(self) -> bool:
        """Whether it asks for the gradient only, and depends on coordinates most."""
        return not self.derivatives


SOLVERS: dict[str, Solver] = {
    "lbfgs": Solver(lbfgs, (), True, {}, draft_options={"dtype": np.float32}),
    # Older SciPy does not begin at all with xtol = 0. Its inner iteration ends at once
    # where gᵀHg is below 7e-16, in units of the gradient at the start of a run.
    "newton-cg": Solver("Newton-CG", ("hessp",), False, {"xtol": 1e-300}, reach=1e-7),
    "trust-ncg": Solver("trust-ncg", ("hessp",), False, {"gtol": 0.0}),
    "newton-cholesky": Solver(newton_cholesky, ("hessian",), False, {}),
}

# A dense Hessian above this size is refused: forming and factorising it takes three
# arrays of that size.
MAX_HESSIAN_BYTES = 2**31


class Renewal(NamedTuple):
    """Coordinates that are renewed on the way, because the curvature changes there.

    Attributes
    ----------
    first : int
        After how many iterations.
    renew : callable
        From a problem and a point to the same problem in other coordinates and the
        point there: f must not be higher.
    again : bool, default=True
        Whether also each time their number has doubled, so that ever less of the whole
        is spent on it.
    """

    first: int
    renew: Callable[[Problem, np.ndarray], tuple[Problem, np.ndarray]]
    again: bool = True


class Draft(NamedTuple):
    """The same function computed faster and less exactly, to be minimised first.

    Attributes
    ----------
    problem : Problem
        In the coordinates of the exact one.
    limits : Limits
        When its minimisation ends: before its errors matter.
    options : dict
        Of the solver, beside those that it has anyway.
    """

    problem: Problem
    limits: Limits
    options: dict[str, Any]


def check_capability(solver: str, size: int, bounded: bool) -> None:
    """Refuse a solver that cannot do what is asked, before any work.

    Parameters
    ----------
    solver : str
        A key of ``SOLVERS``, or "auto", which is able to do anything.
    size : int
        Number of parameters.
    bounded : bool
        Whether parameters have bounds.

    Raises
    ------
    ValueError
        With the solvers that can.
    """
    if solver == "auto":
        return
    if bounded and not SOLVERS[solver].bounds:
        able = [name for name, row in SOLVERS.items() if row.bounds]
        raise ValueError(
            f"solver='{solver}' cannot keep weights within bounds, which monotonic_cst "
            f"needs. Use solver='auto' or one of {able}."
        )
    hessian_bytes = 8 * size * size
    if "hessian" in SOLVERS[solver].derivatives and hessian_bytes > MAX_HESSIAN_BYTES:
        able = [n for n, row in SOLVERS.items() if "hessian" not in row.derivatives]
        raise ValueError(
            f"solver='{solver}' needs the Hessian of {size} parameters, "
            f"{hessian_bytes / 2**30:.1f} GiB; at most "
            f"{MAX_HESSIAN_BYTES / 2**30:.1f} GiB are taken. Use solver='auto' or one "
            f"of {able}."
        )


def minimise(
    problem: Problem,
    start: np.ndarray,
    *,
    solver: str,
    limits: Limits,
    bounds: Bounds | None = None,
    observer: Observer | None = None,
    renewal: Renewal | None = None,
    draft: Draft | None = None,
) -> Result:
    """Minimise a problem with one of the ``SOLVERS``.

    Parameters
    ----------
    problem : Problem
        With the derivatives that the solver needs.
    start : ndarray of shape (size,)
        The first iterate, within the bounds.
    solver : str
        A key of ``SOLVERS``.
    limits : Limits
        When to stop.
    bounds : (low, high), optional
        Arrays of shape (size,); only for solvers with `bounds`.
    observer : Observer, optional
        Told about the start and every iteration; it may ask to stop.
    renewal : Renewal, optional
        How coordinates are renewed on the way; not with `bounds`.
    draft : Draft, optional
        What to minimise first.

    Returns
    -------
    Result
        Of the last iterate, also after an interrupt (KeyboardInterrupt) or when the
        solver could not go on.
    """
    row = SOLVERS[solver]
    due = limits.max_iter if renewal is None else renewal.first
    journey: Journey | None = None
    try:
        if draft is None:
            journey = Journey(problem, start, bounds, limits.until(due), observer)
        else:
            begun = draft.limits.until(limits.max_iter)
            journey = Journey(draft.problem, start, bounds, begun, observer)
            drafting = row._replace(options={**row.options, **draft.options})
            _descend(journey, drafting, bounds, begun)
            journey.refine(problem, limits.until(due))
        _descend(journey, row, bounds, limits)
        while (
            renewal is not None
            and journey.outcome == "max_iter"
            and due < limits.max_iter
        ):
            due = 2 * due if renewal.again else limits.max_iter
            renewed = renewal.renew(journey.memory.problem, journey.x)
            journey.move(*renewed, limits.until(due))
            _descend(journey, row, bounds, limits)
    except KeyboardInterrupt:
        if journey is None:
            journey = Journey(problem, start, bounds, limits, None)
        journey.outcome = "interrupted"
    finally:
        if observer is not None:
            observer.abandoned()
    return journey.result()


def _descend(
    journey: Journey, solver: Solver, bounds: Bounds | None, limits: Limits
) -> None:
    """Run a solver, afresh as long as that helps, until the journey has an outcome.

    A line search may fail at a kink, where the curvature remembered is that of the
    other side, and a trust region may shrink to nothing: starting afresh goes on. A
    run that lowers nothing ends it.
    """
    fell = True
    while journey.outcome is None and fell:
        before = journey.values[-1]
        journey.idle = 0
        journey.least_gradient = solver.reach * journey.grad_norm
        _run(journey, solver, bounds, limits)
        fell = journey.values[-1] < before
    if journey.outcome is None:
        journey.end_without_step()


def _run(
    journey: Journey, solver: Solver, bounds: Bounds | None, limits: Limits
) -> None:
    memory = journey.memory
    # SciPy's Newton-CG compares curvatures with absolute constants. In units of its
    # largest entry at the start the gradient is near 1; a power of two keeps every bit.
    # Without Hessian products there are none, and the first step of L-BFGS is right
    # where the curvature is near 1.
    unit = (
        _nearest_power_of_two(journey.grad_norm)
        if "hessp" in solver.derivatives
        else 1.0
    )
    derivatives = {
        {"hessian": "hess"}.get(name, name): _in_units(
            getattr(memory.problem, name), unit
        )
        for name in solver.derivatives
    }
    # A line search may step to where f is not finite; it comes back by itself.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        minimize(
            lambda x: memory.value_and_grad(x)[0] / unit,
            journey.x,
            jac=lambda x: memory.value_and_grad(x)[1] / unit,
            method=solver.method,
            bounds=None if bounds is None else optimize.Bounds(*bounds),
            callback=journey,
            options={**solver.options, "maxiter": limits.max_iter},
            **derivatives,
        )


def _nearest_power_of_two(value: float) -> float:
    """Return the power of two nearest to a value, 1 for one that has none."""
    if not 0.0 < value < np.inf:
        return 1.0
    return float(np.exp2(np.round(np.log2(value))))


def _in_units(
    derivative: Callable[..., np.ndarray], unit: float
) -> Callable[..., np.ndarray]:
    return derivative if unit == 1.0 else lambda *args: derivative(*args) / unit
