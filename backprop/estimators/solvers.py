"""The optimizer that an estimator's parameters ask for."""

import dataclasses
from typing import Any

from ..optimizers import FULL_BATCH, LBFGS, SGD, Adam, LevenbergMarquardt, Optimizer, Rprop, plan_of
from ..schedules import InverseScaling
from .fit import Progress

SOLVERS = ("lbfgs", "sgd", "adam", "rprop", "lm")


def full_batch(solver: Any) -> bool:
    """Whether a solver takes all rows at once."""
    return solver in ("lbfgs", "rprop", "lm") if isinstance(solver, str) else isinstance(solver, FULL_BATCH)


def optimizer_of(estimator: Any, l2: float, progress: Progress, n_samples: int) -> Optimizer:
    """What solver means, with the penalty l2; an optimizer object is taken as it is."""
    solver, one = estimator.solver, estimator
    if isinstance(solver, Optimizer):
        return solver
    if solver == "sgd":
        mu = float(one.momentum)
        return with_l2(SGD(rate_of(one, progress, n_samples), mu, bool(one.nesterovs_momentum) and mu > 0.0), l2)
    if solver == "adam":
        return with_l2(Adam(one.learning_rate_init, float(one.beta_1), float(one.beta_2), float(one.epsilon)), l2)
    if solver == "lbfgs":
        return LBFGS(tolerance=float(one.tol), l2=l2)
    return with_l2(Rprop(), l2) if solver == "rprop" else LevenbergMarquardt()


def least_squares(solver: Any) -> bool:
    """Whether a solver is for the loss squared_error alone."""
    return solver == "lm" if isinstance(solver, str) else isinstance(solver, LevenbergMarquardt)


def goes_on(old: Optimizer, new: Optimizer) -> bool:
    """Whether one optimizer can take over the other's state."""
    return plan_of(old).rule == plan_of(new).rule and getattr(old, "memory", None) == getattr(new, "memory", None)


def rate_of(estimator: Any, progress: Progress, n_samples: int) -> float | InverseScaling:
    """The learning rate of sgd."""
    first, power = float(estimator.learning_rate_init), float(estimator.power_t)
    if progress.rate is not None:
        return progress.rate
    if estimator.learning_rate != "invscaling" or power == 0.0:
        return first
    epochs = progress.lengths[0]
    # scikit-learn counts rows; so does this, if the numbers of rows were different in calls of partial_fit.
    return InverseScaling(first, power, progress.seen / epochs if epochs else float(n_samples))


def with_l2(optimizer: Optimizer, l2: float) -> Optimizer:
    """The optimizer with this penalty."""
    names = [field.name for field in dataclasses.fields(optimizer)]
    changed: Any = {"l2": l2}
    return dataclasses.replace(optimizer, **changed) if "l2" in names else optimizer


def l2_of(optimizer: Any) -> float:
    """The penalty that it adds to the loss is 0.5*l2 times the squares of the weights."""
    return float(getattr(optimizer, "l2", 0.0))
