"""The examples in docstrings and texts run, and say what they say."""

import doctest
import importlib
import inspect
import pathlib
import pkgutil
import re

import pytest
import scikit_learn

import backprop

ROOT = pathlib.Path(__file__).parents[1]
MODULES = [f"backprop.{module.name}" for module in pkgutil.iter_modules(backprop.__path__) if module.name != "__main__"]
TEXTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OF_ESTIMATORS = ("backprop.estimators", "scikit-learn.md", "imbalanced.md", "pipelines.md")
MODULES = [pytest.param(name, marks=scikit_learn.needed if name in OF_ESTIMATORS else ()) for name in MODULES]
TEXTS = [pytest.param(path, marks=scikit_learn.needed if path.name in OF_ESTIMATORS else ()) for path in TEXTS]


@pytest.mark.parametrize("name", ["backprop", *MODULES])
def test_docstrings(name):
    module = importlib.import_module(name)
    assert module.__doc__
    assert doctest.testmod(module, raise_on_error=False).failed == 0


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_code_blocks_of_texts(path, tmp_path, monkeypatch):
    """The Python blocks of a text run, one after the other."""
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```$", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        exec(compile(block, path.name, "exec"), names)
    assert names or path.name == "contract.md"  # which has none


PUBLIC = {name: getattr(backprop, name) for name in backprop.__all__ if callable(getattr(backprop, name))}
METHODS = {
    f"{name}.{method}": getattr(kind, method)
    for name, kind in PUBLIC.items()
    if inspect.isclass(kind)
    for method, value in vars(kind).items()
    if not method.startswith("_") and (inspect.isfunction(value) or isinstance(value, classmethod))
}


OF_USE = [name for name in METHODS if name.startswith(("Network.", "Training."))]


@pytest.mark.parametrize("name", [*PUBLIC, *METHODS])
def test_public_names_are_documented(name):
    assert inspect.getdoc({**PUBLIC, **METHODS}[name])


@pytest.mark.parametrize("name", ["Network", "fast_train", "loss_and_gradient", "SGD", "Adam", "show_config", *OF_USE])
def test_public_functions_have_examples(name):
    assert doctest.DocTestParser().get_examples(inspect.getdoc({**PUBLIC, **METHODS}[name]))
