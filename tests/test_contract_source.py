"""The source keeps to the contract: no operation whose result is not the same everywhere; two engines have one face."""

import ast
import inspect
import pathlib
import re
import subprocess
import sys
import typing

import pytest

import backprop
from backprop import _kernel, reference
from backprop.optimizers import Optimizer
from backprop.schedules import Schedule

PACKAGE = pathlib.Path(backprop.__file__).parent
DEFINITION = PACKAGE / "definition"
C_SOURCES = PACKAGE.parent / "src_c"

ALLOWED_OF = {
    "math": {"sqrt", "copysign", "inf", "nan", "isfinite"},
    "context": {"exp", "ln", "add", "multiply", "divide"},
    "np": set(),
}
ALLOWED_IMPORTS = {"math", "collections.abc", "decimal", "typing"}
FORBIDDEN_NAMES = {"sum", "max", "min", "pow", "divmod", "round", "eval", "exec", "getattr", "__import__"}
# Reductions, products and random draws of NumPy, whatever they are called on.
FORBIDDEN_ATTRIBUTES = {"sum", "prod", "dot", "mean", "min", "max", "cumsum", "reduce", "accumulate", "matmul", "power"}
FORBIDDEN_ATTRIBUTES |= {"fsum", "sumprod", "fma", "random", "integers", "uniform", "shuffle", "permutation", "normal"}


def nodes(tree):
    """Every node of a syntax tree but those of annotations, which compute nothing."""
    yield tree
    for field, value in ast.iter_fields(tree):
        if field not in ("annotation", "returns"):
            for node in value if isinstance(value, list) else [value]:
                if isinstance(node, ast.AST):
                    yield from nodes(node)


def offences(source):
    """The operations and imports that the definition must not have, as text for the message of the failure."""
    found = []
    for node in nodes(ast.parse(source)):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Pow | ast.MatMult):
            found.append(f"line {line}: operator {type(node.op).__name__}")
        elif isinstance(node, ast.Import):
            bad = [name for name in node.names if name.name not in ALLOWED_IMPORTS or name.asname]
            found += [f"line {line}: import {name.name}" for name in bad]
        elif isinstance(node, ast.ImportFrom):
            if node.level != 1 and node.module not in ALLOWED_IMPORTS - {"math"}:
                found.append(f"line {line}: from {'.' * node.level}{node.module} import")
        elif isinstance(node, ast.Name) and node.id in FORBIDDEN_NAMES:
            found.append(f"line {line}: {node.id}")
        elif isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if node.attr not in ALLOWED_OF.get(
                owner, {node.attr} - (FORBIDDEN_ATTRIBUTES if owner != "settings" else set())
            ):
                found.append(f"line {line}: {owner}.{node.attr}")
    return found


@pytest.mark.parametrize("path", sorted(DEFINITION.glob("*.py")), ids=lambda path: path.stem)
def test_definition_has_no_forbidden_operation(path):
    assert offences(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "math.exp(x)",
        "math.log1p(x)",
        "math.tanh(x)",
        "math.pow(x, y)",
        "math.fsum(x)",
        "math.fma(x, y, z)",
        "x ** 2",
        "x **= 2",
        "pow(x, 2)",
        "sum(x)",
        "max(x, 0.0)",
        "min(x, y)",
        "W @ x",
        "W @= x",
        "np.dot(x, y)",
        "np.exp(x)",
        "np.sum(x)",
        "x.sum()",
        "x.mean()",
        "from math import exp",
        "import math as m",
        "import scipy",
        "divmod(x, y)",
        "from numpy import dot",
        "from numpy.random import default_rng",
        "import cmath",
        "stream.random()",
        "generator.integers(3)",
        "context.power(x, y)",
        "f = math.exp",
        "list(map(math.log, x))",
        "np.random.default_rng()",
        "import numpy",
        "import numpy as np",
        "from numpy.typing import ArrayLike",
        "from .. import arguments",
        "from ..network import Network",
    ],
)
def test_each_forbidden_operation_is_found(source):
    assert len(offences(source)) >= 1


def parameters(function, without=()):
    """(name, kind, default) of each parameter."""
    all_of_them = inspect.signature(function).parameters.values()
    return [(p.name, p.kind, p.default) for p in all_of_them if p.name not in without]


def test_twins_have_the_same_signatures():
    threads = {"n_threads"}
    assert parameters(reference.train) == parameters(backprop.fast_train, threads)
    assert parameters(reference.loss_and_gradient) == parameters(backprop.loss_and_gradient)
    for name in ("predict", "loss"):
        (first, *rest), (self, *others) = (
            parameters(getattr(reference, name)),
            parameters(getattr(backprop.Network, name), threads),
        )
        assert (first[0], self[0]) == ("network", "self")
        assert rest == others
    for function in (backprop.fast_train, backprop.Network.predict, backprop.Network.loss, backprop.Training.resume):
        assert inspect.signature(function).parameters["n_threads"].default is None


def test_signature_of_fast_train():
    """The face that the design fixes."""
    names = ["network", "X", "y", "loss", "optimizer", "epochs", "batch_size", "shuffle", "rng", "train_biases"]
    names += ["sample_weight", "dropout", "stopping", "checkpoint"]
    assert [name for name, _, _ in parameters(backprop.fast_train)] == [*names, "n_threads", "callback", "progress"]
    defaults = [
        default for _, kind, default in parameters(backprop.fast_train) if kind is inspect.Parameter.KEYWORD_ONLY
    ]
    assert defaults == [None, None, 100, None, True, 0, True, *[None] * 6, False]


def test_public_names():
    public = {"Network", "fast_train", "Training", "EpochState", "loss_and_gradient", "DivergenceError"}
    public |= {"BlockShuffle", "Checkpoint", "CheckpointError", "Dropout", "EarlyStopping"}
    public |= {"PartialSums", "partial_sums", "train_on_sums"}
    public |= {kind.__name__ for kind in (*typing.get_args(Optimizer), *typing.get_args(Schedule))}
    known = {"LBFGS", "SGD", "Adam", "AdamW", "RMSprop", "Rprop", "LevenbergMarquardt", "StepDecay", "ExponentialDecay"}
    assert known | {"InverseScaling", "CosineDecay", "ReduceOnPlateau"} <= public
    assert set(backprop.__all__) == public | {"__version__", "contract_version", "show_config"}
    for name in backprop.__all__:
        assert hasattr(backprop, name)
    assert backprop.contract_version == 2
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", backprop.__version__)


def test_reference_and_tutorial_come_with_the_package():
    program = "import backprop; backprop.reference.train; backprop.tutorial.walk; print('here')"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (shown.stdout, shown.stderr) == ("here\n", "")


def test_import_takes_nothing_heavy():
    """Neither decimal nor the reference, nor any extra, is loaded before it is needed."""
    program = "import sys, backprop; print(sorted(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = ast.literal_eval(shown.stdout)
    assert "backprop._kernel" in loaded
    for name in ("backprop.reference", "backprop.tutorial", "tqdm", "pandas", "scipy", "sklearn", "difflib"):
        assert name not in loaded


def test_calls_take_nothing_heavy():
    """A list is not a masked array if numpy.ma has not been imported."""
    program = (
        "import sys, backprop; before = 'numpy.ma' in sys.modules; backprop.Network([1, 1]).predict([[1.0]]); "
        "print(before == ('numpy.ma' in sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout == "True\n"


def test_show_config(capsys):
    backprop.show_config()
    shown = capsys.readouterr().out
    assert shown.startswith(f"backprop {backprop.__version__}, arithmetic contract {backprop.contract_version}\n")
    for word in ("compiler", "instruction set", "threads", "python", "numpy"):
        assert f"\n{word}: " in shown


if sys.platform != "win32":

    @pytest.fixture(scope="module")
    def imported_symbols():
        """What the extension takes from other libraries; a machine without nm fails here."""
        binary = pathlib.Path(_kernel.__file__)
        elf = binary.read_bytes()[:4] == b"\x7fELF"
        listed = subprocess.run(["nm", "-D" if elf else "-u", str(binary)], capture_output=True, text=True, check=True)
        return {
            line.split()[-1].partition("@")[0].removeprefix("" if elf else "_") for line in listed.stdout.splitlines()
        }

    def test_no_function_of_libm(imported_symbols):
        assert "PyType_Ready" in imported_symbols
        forbidden = {"exp", "expm1", "log", "log1p", "pow", "tanh", "fma", "exp2", "log2", "log10", "sinh", "cosh"}
        assert imported_symbols & (forbidden | {f"{name}f" for name in forbidden}) == set()


def test_sources_in_c_stand_alone():
    """No Python, no allocation, no output, nothing that a compiler may fuse or reorder on request."""
    sources = sorted(C_SOURCES.glob("*.[ch]"))
    assert {"elementary.c", "elementary.h", "fpenv.h", "ordered.h"} <= {path.name for path in sources}
    forbidden = r"Python\.h|stdio|malloc|calloc|realloc|alloca\(|printf|__int128|long double|\bfma\(|omp simd|Ofast"
    for path in sources:
        assert re.findall(forbidden, path.read_text(encoding="utf-8")) == [], path.name
