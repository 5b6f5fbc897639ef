"""The optimizer that an estimator's parameters ask for."""

import dataclasses
from typing import Any

from ..optimizers import FULL_BATCH, LBFGS, SGD, Adam, LevenbergMarquardt, Optimizer, Rprop, plan_of
from ..schedules import InverseScaling
from .fit import Progress

SOLVERS = ("lbfgs", "sgd", "adam", "rprop", "lm")


def full_batch(solver: Any) -> bool:
    """Whether a solver uses all rows for each step."""
    return solver in ("lbfgs", "rprop", "lm") if isinstance(solver, str) else isinstance(solver, FULL_BATCH)


def optimizer_of(estimator: Any, l2: float, progress: Progress, n_samples: int) -> Optimizer:
    """The optimizer of the parameter solver, with the penalty l2; an optimizer object is used as it is."""
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
    """Whether a solver needs the loss squared_error."""
    return solver == "lm" if isinstance(solver, str) else isinstance(solver, LevenbergMarquardt)


def state_fits(old: Optimizer, new: Optimizer) -> bool:
    """Whether the new optimizer can take over the old one's slots and scalars."""
    return plan_of(old).rule == plan_of(new).rule and getattr(old, "memory", None) == getattr(new, "memory", None)


def rate_of(estimator: Any, progress: Progress, n_samples: int) -> float | InverseScaling:
    """The learning rate of sgd, or its schedule."""
    first, power = float(estimator.learning_rate_init), float(estimator.power_t)
    if progress.rate is not None:
        return progress.rate
    if estimator.learning_rate != "invscaling" or power == 0.0:
        return first
    epochs = progress.lengths[0]
    # scikit-learn's rate depends on the rows seen: per epoch, the mean of the calls so far or the rows of this one.
    return InverseScaling(first, power, progress.seen / epochs if epochs else float(n_samples))


def with_l2(optimizer: Optimizer, l2: float) -> Optimizer:
    """A copy of the optimizer with this l2, or the optimizer itself if it has no l2."""
    names = [field.name for field in dataclasses.fields(optimizer)]
    changed: Any = {"l2": l2}
    return dataclasses.replace(optimizer, **changed) if "l2" in names else optimizer


def l2_of(optimizer: Any) -> float:
    """The l2 of an optimizer, or 0.0: the penalty is 0.5*l2 times the sum of the squared weights."""
    return float(getattr(optimizer, "l2", 0.0))
