"""Compare scores and times with scikit-learn's, for the same parameters: python benchmarks/quality.py [--write].

Every set is split ten times; both libraries fit the same rows with the same random_state, in turn, and score the rows
that were held back. Then a prediction of one row, and a grid search with one process and with two; and how often each
optimizer solves XOR. --write puts the tables into docs/scikit-learn.md and docs/optimizers.md. The exit status is 1 if
a figure misses its target; another load on the machine spoils the times.
"""

import argparse
import datetime
import functools
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sklearn
import sklearn.neural_network as theirs
import xor
from peers import operating_system, processor, time_text
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
    make_classification,
    make_friedman1,
)
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.preprocessing import StandardScaler

import backprop
from backprop import _kernel, estimators

PAGE = Path(__file__).parents[1] / "docs" / "scikit-learn.md"
XOR_PAGE = PAGE.with_name("optimizers.md")
BEGIN, END = "<!-- benchmarks/quality.py writes what follows -->\n", "<!-- up to here -->\n"

SOLVERS: dict[str, dict[str, Any]] = {"sgd": {"learning_rate_init": 0.01}, "adam": {}, "lbfgs": {}}
FASTER = {"sgd": 5.0, "adam": 5.0, "lbfgs": 3.0}  # least median, over the sets, of the ratio
GRID = {
    "alpha": [1e-5, 1e-4, 1e-3],
    "hidden_layer_sizes": [(20,), (50,)],
    "learning_rate_init": [1e-3, 1e-2],
    "activation": ["relu", "tanh"],
}


class Set(NamedTuple):
    """Rows and targets; the score is the accuracy, or R squared."""

    kind: str
    load: Callable[[int], tuple[Any, Any]]


SETS = {
    "iris": Set("MLPClassifier", lambda n: load_iris(return_X_y=True)),
    "wine": Set("MLPClassifier", lambda n: load_wine(return_X_y=True)),
    "breast cancer": Set("MLPClassifier", lambda n: load_breast_cancer(return_X_y=True)),
    "digits": Set("MLPClassifier", lambda n: load_digits(return_X_y=True)),
    "diabetes": Set("MLPRegressor", lambda n: load_diabetes(return_X_y=True)),
    "make_classification": Set(
        "MLPClassifier", lambda n: make_classification(n, 20, n_informative=10, n_classes=3, random_state=0)
    ),
    "make_friedman1": Set("MLPRegressor", lambda n: make_friedman1(n, 10, noise=1.0, random_state=0)),
}


class Fits(NamedTuple):
    """Results of one library's fits, one for each seed."""

    scores: list[float]
    seconds: list[float]

    @property
    def score(self) -> float:
        return statistics.fmean(self.scores)

    @property
    def error(self) -> float:
        """The standard error of the mean score."""
        return statistics.stdev(self.scores) / len(self.scores) ** 0.5 if len(self.scores) > 1 else 0.0


def split(name: str, rows: int, seed: int) -> list[Any]:
    """Scaled rows and targets to train on and to score."""
    kind, load = SETS[name]
    X, y = load(rows)
    classes = kind == "MLPClassifier"
    X, X_test, y, y_test = train_test_split(X, y, random_state=seed, test_size=0.25, stratify=y if classes else None)
    scaler = StandardScaler().fit(X)
    mean, spread = (0, 1) if classes else (y.mean(), y.std())
    return [scaler.transform(X), scaler.transform(X_test), (y - mean) / spread, (y_test - mean) / spread]


def beside(name: str, solver: str, seeds: int, rows: int) -> tuple[Fits, Fits]:
    """Fit with backprop and with scikit-learn in turn; the fits of each."""
    both = Fits([], []), Fits([], [])
    for seed in range(seeds):
        X, X_test, y, y_test = split(name, rows, seed)
        for library, fits in zip((estimators, theirs), both, strict=True):
            model = getattr(library, SETS[name].kind)(solver=solver, random_state=seed, **SOLVERS[solver])
            began = time.perf_counter()
            model.fit(X, y)
            fits.seconds.append(time.perf_counter() - began)
            fits.scores.append(float(model.score(X_test, y_test)))
    return both


def quality(seeds: int, rows: int, names: list[str]) -> tuple[list[str], list[str]]:
    """The table of scores and times, and the figures that miss their targets."""
    lines = [
        "| data | solver | score | scikit-learn's | time | scikit-learn's | times faster |",
        "|---|---|" + "--:|" * 5,
    ]
    missed, faster = [], {solver: [] for solver in SOLVERS}
    for name in names:
        for solver in SOLVERS:
            ours, other = beside(name, solver, seeds, rows)
            ratio = statistics.median(b / a for a, b in zip(ours.seconds, other.seconds, strict=True))
            faster[solver].append(ratio)
            scores = [f"{fits.score:.4f} ± {fits.error:.4f}" for fits in (ours, other)]
            times = [time_text(statistics.median(fits.seconds)) for fits in (ours, other)]
            lines.append(f"| {name} | {solver} | {' | '.join(scores)} | {' | '.join(times)} | {ratio:.1f} |")
            print(lines[-1], flush=True)
            if ours.score < other.score - np.hypot(ours.error, other.error):
                missed.append(f"{name}, {solver}: the score {scores[0]} is below {scores[1]}")
            if ratio < 1.0:
                missed.append(f"{name}, {solver}: slower than scikit-learn")
    medians = {solver: statistics.median(ratios) for solver, ratios in faster.items()}
    missed += [f"{s}: {medians[s]:.1f} times faster, not {FASTER[s]}" for s in SOLVERS if medians[s] < FASTER[s]]
    told = ", ".join(f"{median:.1f} with {solver}" for solver, median in medians.items())
    return [*lines, "", f"Times faster, the median over the sets: {told}."], missed


def fastest(function: Callable[[], object], repeats: int = 2000) -> float:
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def one_row() -> tuple[list[str], list[str]]:
    """The time of a prediction of one row by both libraries."""
    X, _, y, _ = split("digits", 0, 0)
    models = [library.MLPClassifier(random_state=0, max_iter=20).fit(X, y) for library in (estimators, theirs)]
    ours, other = (fastest(functools.partial(model.predict, X[:1])) for model in models)
    text = f"`predict` of one row of digits: {time_text(ours)}, scikit-learn's {time_text(other)}."
    print(text, flush=True)
    return [text], [] if ours <= 15e-6 else [f"a prediction of one row takes {time_text(ours)}, not 15 µs"]


def grid(rounds: int, folds: int = 5) -> tuple[list[str], list[str]]:
    """The time of a grid search with one process and with two."""
    X, _, y, _ = split("digits", 0, 0)
    seconds: dict[int, list[float]] = {1: [], 2: []}
    scores: set[bytes] = set()
    for _ in range(rounds):
        for n_jobs, times in seconds.items():
            search = GridSearchCV(estimators.MLPClassifier(random_state=0), GRID, cv=folds, n_jobs=n_jobs)
            began = time.perf_counter()
            search.fit(X, y)
            times.append(time.perf_counter() - began)
            scores.add(search.cv_results_["mean_test_score"].tobytes())
    one, two = (statistics.median(times) for times in seconds.values())
    n = int(np.prod([len(values) for values in GRID.values()]))
    text = (
        f"`GridSearchCV` over {n} settings and {folds} folds of digits: {time_text(one)} with one process, "
        f"{time_text(two)} with two ({two / one:.2f} of it), the same scores to the bit."
    )
    print(text, flush=True)
    missed = [] if two <= 0.6 * one else [f"two processes take {two / one:.2f} of the time of one, not 0.6"]
    return [text], missed + ([] if len(scores) == 1 else ["the grid's scores differ"])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Scores and times beside scikit-learn's.")
    parser.add_argument("sets", nargs="*", help=f"of {', '.join([*SETS, 'xor'])}; all by default")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rows", type=int, default=20_000, help="of the sets that are made")
    parser.add_argument("--rounds", type=int, default=3, help="of the grid search; 0 leaves it out")
    parser.add_argument("--write", action="store_true", help="put the tables into their pages in docs/")
    given = parser.parse_args()
    unknown = sorted(set(given.sets) - {*SETS, "xor"})
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    return given


def put(page: Path, lines: list[str]) -> None:
    """Replace the text of a page between two marks."""
    text = page.read_text(encoding="utf-8")
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    page.write_text(text[:begin] + "\n" + "\n".join(lines) + "\n\n" + text[end:], encoding="utf-8")


def main() -> int:
    given = arguments()
    warnings.simplefilter("ignore")
    used = f"backprop {backprop.__version__} ({_kernel.TARGET}), scikit-learn {sklearn.__version__}"
    lines = [
        f"{datetime.date.today().isoformat()}, {processor()}, {operating_system()}; {used}, NumPy {np.__version__}; "
        f"{given.seeds} seeds, {given.rows:,} rows of what is made.",
        "",
    ]
    names, missed = given.sets or [*SETS, "xor"], []
    if "xor" in names:
        of_xor, missed = xor.table()
        if given.write:
            put(XOR_PAGE, of_xor)
    sets = [name for name in names if name in SETS]
    if sets:
        table, wrong = quality(given.seeds, given.rows, sets)
        lines += table
        missed += wrong
        for more, wrong in [one_row()] + ([grid(given.rounds)] if given.rounds else []):
            lines += ["", *more]
            missed += wrong
        if given.write:
            put(PAGE, lines)
    print("\n".join(["", *missed]) if missed else "\nevery figure is as it should be")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
