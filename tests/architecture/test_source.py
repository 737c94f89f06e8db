"""Properties of the source itself: size, docstrings, and calls that have no place here."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "pointsman"
FILES = sorted(SOURCE.rglob("*.py"))
MAX_LINES = 500

FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "marshal", "shelve", "joblib", "cloudpickle"}
FORBIDDEN_METHODS = {("yaml", "load"), ("yaml", "unsafe_load"), ("yaml", "full_load"), ("os", "system")}
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "manager", "managers", "base", "common", "misc"}


def short(path):
    return path.relative_to(SOURCE).as_posix()


def offences(tree):
    """Calls and imports by which data could become code, with their lines."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in FORBIDDEN_CALLS:
                yield f"line {node.lineno}: {name}()"
            case ast.Call(func=ast.Attribute(value=ast.Name(id=module), attr=name)) if (module, name) in FORBIDDEN_METHODS:
                yield f"line {node.lineno}: {module}.{name}()"
            case ast.Import(names=names) if {n.name.split(".")[0] for n in names} & FORBIDDEN_MODULES:
                yield f"line {node.lineno}: import {names[0].name}"
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in FORBIDDEN_MODULES:
                yield f"line {node.lineno}: from {module}"
            case ast.keyword(arg="allow_pickle", value=ast.Constant(value=True)):
                yield f"line {node.value.lineno}: allow_pickle"
            case ast.keyword(arg="shell", value=ast.Constant(value=True)):
                yield f"line {node.value.lineno}: shell=True"


@pytest.mark.parametrize("path", FILES, ids=short)
def test_nothing_turns_data_into_code(path):
    assert list(offences(ast.parse(path.read_text("utf-8")))) == []


@pytest.mark.parametrize("text", [
    "eval('1')", "exec(x)", "import pickle", "from pickle import loads", "import numpy as n\nn.load(f, allow_pickle=True)",
    "import yaml\nyaml.load(f)", "import subprocess\nsubprocess.run(x, shell=True)",
])
def test_offences_are_found(text):
    assert len(list(offences(ast.parse(text)))) == 1


@pytest.mark.parametrize("path", FILES, ids=short)
def test_a_module_says_what_it_is_for(path):
    said = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""

    assert len(said) > 10, "a module needs a docstring"
    assert said.split("\n\n")[0].rstrip()[-1] in ".:?`)", "its first paragraph is a sentence"


@pytest.mark.parametrize("path", FILES, ids=short)
def test_a_module_reads_in_one_sitting(path):
    lines = path.read_text("utf-8").count("\n")

    assert lines <= MAX_LINES, f"{lines} lines: look for the second noun and give it its file"


@pytest.mark.parametrize("path", FILES, ids=short)
def test_a_module_is_named_after_its_noun(path):
    assert path.stem not in VAGUE_NAMES


def test_checks_are_not_asserts():
    """`python -O` removes asserts; what must hold is raised."""
    found = [f"{short(path)}:{node.lineno}" for path in FILES for node in ast.walk(ast.parse(path.read_text("utf-8")))
             if isinstance(node, ast.Assert)]

    assert found == []
