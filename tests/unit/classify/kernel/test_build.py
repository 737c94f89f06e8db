"""Which arithmetic runs, and why."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from pointsman.classify.kernel.build import SOURCES, VARIABLE, Build, checked, found


@pytest.fixture
def folder(tmp_path):
    for name in SOURCES:
        (tmp_path / name).write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize("changed", SOURCES)
def test_a_kernel_of_another_source_is_not_used(folder, changed):
    (folder / changed).write_text("int changed;")

    build = checked(SimpleNamespace(source="e3b0c44298fc1c14", instructions="plain"), folder)
    assert build.module is None
    assert str(build).startswith("numpy, because the kernel was built from another version of its source")


def test_a_kernel_of_this_source_is(folder):
    build = checked(SimpleNamespace(source="e3b0c44298fc1c14", instructions="plain"), folder)
    assert str(build) == "compiled (plain)"


def test_without_a_source_there_is_nothing_to_compare(tmp_path):
    assert checked(SimpleNamespace(source="0" * 16, instructions="avx2"), tmp_path) == Build(
        SimpleNamespace(source="0" * 16, instructions="avx2"), "")


@pytest.mark.parametrize("value", ["numpy", " NumPy "])
def test_the_environment_turns_it_off(value):
    said = subprocess.run([sys.executable, "-m", "pointsman.classify.kernel"], env=os.environ | {VARIABLE: value}, capture_output=True, text=True,
                          check=True).stdout
    assert said == f"kernel: numpy, because {VARIABLE} says so (slower by some 100 us a request, otherwise the same)\n"


def test_it_is_looked_for_once():
    assert found() is found()
