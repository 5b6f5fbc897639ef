"""The floor plan: who may import whom, how long a file and a function may be, and twins that stay twins."""

import ast
import pathlib
import re
import subprocess
import sys

import pytest

import backprop

PACKAGE = pathlib.Path(backprop.__file__).parent
SOURCES = PACKAGE.parent
DEFINITION, KERNEL, IN_C = PACKAGE / "definition", PACKAGE / "kernel", SOURCES / "src_c"
WINGS = {"estimators", "exchange", "explain", "plots", "dask"}
# Methods of one line that call a wing, or modules that are imported when first asked for.
CALLS_OF_WINGS = {"backprop": {"backprop.reference", "backprop.tutorial"}}
# A file of the definition without a twin of its name: its structures are those of kernel.h.
TWINS = {"values": [KERNEL / "values.pxi", IN_C / "kernel.h"]}


def module_name(path):
    """backprop/a/b.py is backprop.a.b, and a package is its __init__.py."""
    parts = path.relative_to(SOURCES).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(name):
    """Every module of the package that a module imports, at its head or within a function; and those of others."""
    path, ours, others = MODULES[name], set(), set()
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            others |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            whole = ".".join(part for part in (base, node.module) if part)
            if not node.level and not whole.startswith("backprop"):
                others.add(whole)
                continue
            for one in node.names:
                inner = f"{whole}.{one.name}"
                ours.add(inner if inner in MODULES or inner == "backprop._kernel" else whole)
    return ours, {one for one in others if one.split(".")[0] != "backprop"}


GRAPH = {name: imports(name)[0] for name in MODULES}


def wing_of(name):
    """The wing that a module belongs to, or "" for the core."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in WINGS else ""


def test_the_graph_is_seen():
    assert "backprop.training_file" in GRAPH["backprop.checkpoint"]  # within a function
    assert "backprop.definition.epochs" in GRAPH["backprop.reference"]
    assert "backprop._kernel" in GRAPH["backprop.network"]
    assert "numpy" in imports("backprop.network")[1]
    assert wing_of("backprop.estimators.base") == "estimators"


def test_definition_stands_on_the_ground():
    for name in MODULES:
        if name.startswith("backprop.definition"):
            ours, others = imports(name)
            assert all(one.startswith("backprop.definition") for one in ours), name
            assert others <= {"math", "decimal", "typing", "collections.abc"}, name


def test_no_circle():
    """Lazy imports count."""
    done, path = set(), []

    def visit(name):
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name in done or name not in MODULES:
            return
        path.append(name)
        for other in sorted(GRAPH[name]):
            visit(other)
        done.add(path.pop())

    for name in sorted(MODULES):
        visit(name)


def test_core_knows_no_wing_and_no_wing_another():
    for name, found in GRAPH.items():
        for other in found - CALLS_OF_WINGS.get(name, set()):
            assert wing_of(other) in ("", wing_of(name)), f"{name} imports {other}"


def test_import_loads_numpy_and_nothing_else():
    """NumPy is the only third party; the rest belongs to Cython or to Python."""
    program = (
        "import sys, numpy; before = set(sys.modules); import backprop; "
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {one for one in shown.stdout.split() if "cython" not in one} <= {"backprop", "numpy"}


# Rooms: files and functions that are read at one sitting.


LONGEST_FILE, LONGEST_PIECE, LONGEST_FUNCTION = 500, 300, 60


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.p[yx]*")), ids=lambda path: path.name)
def test_no_file_is_long(path):
    if path.suffix in (".py", ".pyx", ".pxi", ".pxd", ".pyi"):
        longest = LONGEST_PIECE if path.suffix == ".pxi" else LONGEST_FILE
        assert len(path.read_text(encoding="utf-8").splitlines()) <= longest


def lines_of(function):
    """A function's lines without its docstring."""
    first = function.body[1] if ast.get_docstring(function) and len(function.body) > 1 else function.body[0]
    signature = function.body[0].lineno - function.lineno
    return function.end_lineno - first.lineno + 1 + signature


def test_no_function_is_long():
    for path in MODULES.values():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                assert lines_of(node) <= LONGEST_FUNCTION, f"{path.name}: {node.name}"
    for path in sorted(KERNEL.glob("*.pxi")):
        for name, length in cython_functions(path.read_text(encoding="utf-8")):
            assert length <= LONGEST_FUNCTION, f"{path.name}: {name}"


FUNCTION = re.compile(r"^( *)(?:def|cdef [\w* ]*?[ *])\s*\*?(\w+)\(")


def cython_functions(text):
    """The name of each function of a piece, and its lines without its docstring."""
    text = re.sub(r'(?s)""".*?"""', "", text)
    found, name, indent, length = [], "", 0, 0
    for line in [*text.split("\n"), "end"]:
        if line.strip() and name and len(line) - len(line.lstrip()) <= indent and not line.strip().startswith(")"):
            found.append((name, length))
            name = ""
        begins = FUNCTION.match(line)
        if begins:
            name, indent, length = begins[2], len(begins[1]), 0
        if line.strip():
            length += 1
    return found


# Twins: the definition and the kernel are read side by side.


def defined(path):
    """The names of a file's functions, in their order."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return [
            node.name
            for node in ast.parse(text).body
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
        ]
    if path.suffix == ".pxi":
        return [found[2] for found in map(FUNCTION.match, text.split("\n")) if found]
    pattern = r"^(?:static|BP_INLINE) [\w ]*?\*?\s*(?:bp_|cr_)(\w+?)(?:_rule)?\(|^(?:double) (?:bp_|cr_)(\w+)\("
    return [one or other for one, other in re.findall(pattern, text, re.MULTILINE)]


def twins_of(path):
    """The files of the kernel that belong to a file of the definition."""
    named = [KERNEL / f"{path.stem}.pxi", *(IN_C / f"{path.stem}{end}" for end in (".h", ".c"))]
    return [twin for twin in TWINS.get(path.stem, named) if twin.exists()]


FILES = sorted(path for path in DEFINITION.glob("*.py") if path.name != "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_file_has_its_twin(path):
    twins = twins_of(path)
    assert twins
    names, shared = defined(path), set()
    for twin in twins:
        of_twin = defined(twin)
        common = [name for name in of_twin if name in names]
        assert common == [name for name in names if name in common], twin.name
        shared |= set(common)
    assert shared or path.stem in ("activations", "epochs")  # rows of a table; many epochs in one call


def test_known_twins_are_found():
    """The comparison above must not pass because it sees nothing."""
    found = {name for path in FILES for twin in twins_of(path) for name in {*defined(twin)} & {*defined(path)}}
    expected = {"forward", "node_deltas", "hidden_deltas", "add_gradient", "uniform", "below", "shuffled"}
    expected |= {"jacobian_rows", "normal_equations", "factor", "back_substitution", "gradient_norm", "draw_masks"}
    expected |= {"initial_parameters", "dot", "line_search", "lowest_of_cubic", "exp", "log1p", "first_not_finite"}
    assert expected | {*backprop.reference.LOSSES, *backprop.reference.UPDATE_RULES} <= found
