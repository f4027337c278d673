"""The phases of a fit, run one after the other; all share one history."""

import numpy as np

from sknn_simple._optim.history import History
from sknn_simple._optim.minimize import minimize
from sknn_simple._optim.stopping import ENDINGS, ended_by
from sknn_simple._training.plan import SolvePlan
from sknn_simple._training.problem import TrainingProblem


def run_phases(
    plan: SolvePlan, problem: TrainingProblem, theta: np.ndarray, history: History
) -> tuple[np.ndarray, str]:
    """Minimise J phase by phase from θ; return the last θ and the outcome."""
    preconditioner, outcome = problem.diagonal, "interrupted"
    for phase in plan.phases:
        try:
            preconditioner = phase.precondition(theta) or preconditioner
        except ENDINGS as error:
            if not history.values:
                raise
            return theta, ended_by(error)
        theta, outcome = minimize(
            phase.objective(),
            theta,
            preconditioner,
            phase.criteria,
            history,
            solver=phase.solver or plan.solver,
            bounds=problem.bounds,
        )
        if outcome not in phase.continue_after:
            break
    return theta, outcome
