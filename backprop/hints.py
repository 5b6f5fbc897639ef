"""Hints in errors: what to type instead of an argument that belongs elsewhere or that others name otherwise."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, get_args

from .arguments import shown, type_name

Function = TypeVar("Function", bound=Callable[..., Any])
Class = TypeVar("Class", bound=type)

# Arguments in other libraries, and the equivalent ones here.
OTHER_ARGUMENTS = {
    "lr": "learning_rate",
    "learning_rate_init": "learning_rate",
    "alpha": "l2",
    "eps": "epsilon",
    "betas": "beta_1",
    "beta1": "beta_1",
    "beta2": "beta_2",
    "nesterovs_momentum": "nesterov",
    "clipnorm": "clip_norm",
    "history_size": "memory",
    "callbacks": "callback",
    "verbose": "progress",
    "n_epochs": "epochs",
    "num_epochs": "epochs",
    "max_iter": "epochs",
    "n_iter": "epochs",
    "iterations": "epochs",
    "random_state": "rng",
    "seed": "rng",
    "solver": "optimizer",
    "method": "optimizer",
    "criterion": "loss",
    "n_jobs": "n_threads",
    "weights": "sample_weight",
    "bias": "train_biases",
    "early_stopping": "stopping",
    "validation_split": "validation_fraction",
    "n_iter_no_change": "patience",
    "min_delta": "min_improvement",
    "tol": "min_improvement",
    "restore_best_weights": "restore_best",
    "hidden_layer_sizes": "sizes",
    "layers": "sizes",
    "kernel_initializer": "initializer",
    "init": "initializer",
    "p": "rate",
    "filename": "path",
    "filepath": "path",
}

# Arguments of objects that another argument takes, which comes first.
INSIDE = {
    "validation_data": "stopping=backprop.EarlyStopping(validation_data=(X, y))",
    "validation_fraction": "stopping=backprop.EarlyStopping(validation_fraction=0.1)",
    "patience": "stopping=backprop.EarlyStopping(patience=10)",
    "min_improvement": "stopping=backprop.EarlyStopping(min_improvement=1e-4)",
    "target_loss": "stopping=backprop.EarlyStopping(target_loss=1e-3)",
    "time_limit": "stopping=backprop.EarlyStopping(time_limit=60)",
    "restore_best": "stopping=backprop.EarlyStopping(restore_best=True)",
    "learning_rate": "optimizer=backprop.Adam(learning_rate=1e-3)",
    "momentum": "optimizer=backprop.SGD(0.1, momentum=0.9)",
    "nesterov": "optimizer=backprop.SGD(0.1, momentum=0.9, nesterov=True)",
    "beta_1": "optimizer=backprop.Adam(beta_1=0.9)",
    "beta_2": "optimizer=backprop.Adam(beta_2=0.999)",
    "epsilon": "optimizer=backprop.Adam(epsilon=1e-8)",
    "weight_decay": "optimizer=backprop.AdamW(weight_decay=0.01)",
    "l1": "optimizer=backprop.Adam(l1=1e-4)",
    "l2": "optimizer=backprop.Adam(l2=1e-4)",
    "clip_norm": "optimizer=backprop.Adam(clip_norm=1.0)",
    "schedule": "optimizer=backprop.Adam(backprop.CosineDecay(1e-3, epochs=100))",
    "window": "shuffle=backprop.BlockShuffle(window=256)",
    "rate": "dropout=backprop.Dropout(0.2)",
    "path": "checkpoint=backprop.Checkpoint('run.txt')",
}


def hinted(function: Function) -> Function:
    """The function, whose error about an unknown keyword says what to type instead."""
    known = tuple(inspect.signature(function).parameters)

    @functools.wraps(function)
    def checked(*values: Any, **settings: Any) -> Any:
        try:
            return function(*values, **settings)
        except TypeError:
            unknown = next((name for name in settings if name not in known), None)
            if unknown is None:
                raise
        raise TypeError(_about_unknown(function.__qualname__.removesuffix(".__init__"), unknown, known))

    return checked  # type: ignore[return-value]


def hinted_class(kind: Class) -> Class:
    """A class whose constructor is `hinted`; its subclasses' are not."""
    kind.__init__ = hinted(kind.__init__)  # type: ignore[misc]
    return kind


def _about_unknown(function: str, name: str, known: tuple[str, ...]) -> str:
    """The text of the error about an unknown keyword."""
    import difflib

    here = OTHER_ARGUMENTS.get(name, name)
    inside = INSIDE.get(here, "")
    if here in known:
        hint = f"did you mean {here}?"
    elif inside.partition("=")[0] in known:
        hint = f"give {inside}"
    else:
        near = difflib.get_close_matches(name[:100], known, 1, 0.6)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(one for one in known if one != 'self')}"
    return f"{function}() has no argument {shown(name)}; {hint}"


def instance(
    argument: str, value: Any, union: Any, allowed: str, *calls: tuple[Any, str], otherwise: str = "None"
) -> TypeError:
    """The error about a value that is neither None, or what `otherwise` says, nor an instance of a union's classes.

    `allowed` says what is. Each of `calls` has a class, and the call that an instance of it stands for, with {} where
    the value belongs.
    """
    named = value if isinstance(value, str) else value.__name__ if isinstance(value, type) else type_name(value)
    plain = "".join(filter(str.isalnum, named[:100])).lower()
    classes = {kind.__name__.lower(): kind.__name__ for kind in get_args(union) or (union,)}
    name = classes.get(SHORT_NAMES.get(plain, plain))
    meant = (
        f"{name}({NEEDED.get(name, '')})" if name else next((one for kind, one in calls if isinstance(value, kind)), "")
    )
    meant = meant.replace("{}", shown(value))
    hint = f"; did you mean backprop.{meant}?" if meant and len(meant) < 60 else ""
    return TypeError(f"{argument} must be {otherwise} or {allowed}, got {shown(value)}{hint}")


SHORT_NAMES = {"lm": "levenbergmarquardt", "momentum": "sgd", "block": "blockshuffle"}  # names in lower case
NEEDED = {"SGD": "learning_rate=0.1", "Dropout": "0.2", "Checkpoint": "'run.txt'"}  # arguments without a default
