"""The command line: python -m backprop tutorial, python -m backprop verify."""

import argparse
import os
import sys
import time
from collections.abc import Sequence

from . import SGD, __version__, fast_train, tutorial, verify


def show_tutorial() -> int:
    """Print one training step number by number, the result and time of 10,000 steps, and a note on the source."""
    numbers = tutorial.walk()
    print(tutorial.PAGE.format_map({**numbers, "eta": tutorial.LEARNING_RATE}))
    X, y = [tutorial.INPUTS], [tutorial.TARGETS]
    began = time.perf_counter()
    run = fast_train(tutorial.NETWORK, X, y, optimizer=SGD(tutorial.LEARNING_RATE), epochs=10_000, train_biases=False)
    milliseconds = (time.perf_counter() - began) * 1e3
    (o1, o2), error = run.network.predict(X)[0].tolist(), run.network.loss(X, y)
    print(
        f"10,000 such steps took {milliseconds:.2f} ms here. The error is down to {error:.15f},\n"
        f"the outputs are {o1:.9f} (target {numbers['target_o1']}) and {o2:.9f} (target {numbers['target_o2']}).\n"
    )
    print(tutorial.NOTE, end="")
    return 0


COMMANDS = [
    ("tutorial", show_tutorial, "one step of backpropagation, number by number, then 10,000 of them"),
    ("verify", verify.show, "recompute this release's published results and compare every bit (some seconds)"),
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m backprop",
        description="Neural networks in double precision, with the same bits on every machine.",
    )
    parser.add_argument("--version", action="version", version=f"backprop {__version__}")
    commands = parser.add_subparsers(metavar="{tutorial,verify}", required=True)
    for name, command, help_text in COMMANDS:
        commands.add_parser(name, help=help_text, description=help_text).set_defaults(command=command)
    try:
        status = int(parser.parse_args(arguments).command())
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head -1`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
