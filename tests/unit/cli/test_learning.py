"""What the commands that learn have in common."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import pointsman
from pointsman.cli.learning import EXTRAS, NOT_DONE, one_sentence

LEARN = Path(pointsman.__file__).parent / "learn"
SERVING = {"pointsman", "msgspec", "yaml", "re2", "pydantic"}
COMMANDS = (
    ("train", "--out", "r"), ("score", "-a", "r", "-o", "o.csv"), ("evaluate", "-a", "r"), ("evaluate", "--cascade"),
    ("calibrate", "-a", "r"), ("calibrate", "--cascade"), ("export", "-o", "o"),
)  # fmt: skip
PROGRAM = """
import json, sys
sys.modules[sys.argv[1]] = None
from typer.testing import CliRunner
from pointsman.cli.main import app
ran = [CliRunner().invoke(app, [words[0], "labels.jsonl", *words[1:]]) for words in json.loads(sys.argv[2])]
print(json.dumps([[one.exit_code, one.stderr.strip() or repr(one.exception)] for one in ran]))
"""


def imported():
    """The packages that learning imports, wherever in a module."""
    for path in LEARN.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (name.name.partition(".")[0] for name in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


def test_every_package_that_learning_needs_is_known_as_an_extra():
    assert set(imported()) - set(sys.stdlib_module_names) - SERVING <= set(EXTRAS)


@pytest.mark.parametrize("name", [*EXTRAS, "sklearn.linear_model"])
def test_a_missing_extra_is_one_sentence_with_the_remedy(name, capsys):
    with pytest.raises(Exception) as ended, one_sentence():
        raise ModuleNotFoundError(name=name)
    assert ended.value.exit_code == NOT_DONE
    assert f"learning needs {name}, which is not installed: pip install 'pointsman[learn]'" in capsys.readouterr().err


def test_a_module_of_ours_that_is_missing_is_no_matter_of_extras():
    with pytest.raises(ModuleNotFoundError), one_sentence():
        raise ModuleNotFoundError(name="pointsman.learn.nowhere")


@pytest.mark.parametrize("missing", ["pyarrow", "threadpoolctl"])
def test_no_command_breaks_off_where_only_serving_is_installed(missing, tmp_path):
    # In a process of its own: what is imported here already would not be missed.
    (tmp_path / "labels.jsonl").write_text('{"text": "a", "tier": "small"}\n')
    ran = subprocess.run([sys.executable, "-c", PROGRAM, missing, json.dumps(COMMANDS)], cwd=tmp_path, capture_output=True, text=True, check=True)
    heard = json.loads(ran.stdout)
    assert [(code, len(said.splitlines())) for code, said in heard] == [(NOT_DONE, 1)] * len(COMMANDS), heard
