from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from pointsman.cli.main import app

LAUNCHES = sorted(Path(__file__).parents[3].glob("deploy/engines/*/*.sh"))


def plan(*arguments: str):
    return CliRunner().invoke(app, ["plan", "engines", *arguments], env={"COLUMNS": "150"})


def test_the_published_recipes_are_shown_to_fail_and_how_to_mend_them():
    result = plan()

    assert result.exit_code == 1
    assert "--dtype fp8 does not exist" in result.output
    assert "10,130 tokens" in result.output
    assert "fits with: --tensor-parallel-size 2" in result.output


def test_every_launch_file_of_ours_fits_its_card():
    assert len(LAUNCHES) >= 9
    result = plan("--json", *map(str, LAUNCHES))

    assert result.exit_code == 0, result.output
    assert {entry["fit"]["verdict"] for entry in json.loads(result.output)} == {"fits"}


def test_a_command_without_a_card_asks_for_one():
    result = plan("vllm serve Qwen/Qwen2.5-7B-Instruct")

    assert result.exit_code == 2
    assert "which card?" in result.output


def test_a_card_on_the_command_line_wins_over_the_files():
    result = plan("--gpu", "L4", str(next(file for file in LAUNCHES if "h100.sh" in file.name)))

    assert result.exit_code == 1
    assert "L4 24 GB" in result.output


def test_a_file_that_is_not_there_is_told_as_such():
    result = plan("--gpu", "H100", "deploy/nowhere.sh")

    assert result.exit_code == 2
    assert "there is no file 'deploy/nowhere.sh'" in result.output


def test_in_a_narrow_terminal_no_verdict_is_broken_over_two_lines():
    result = CliRunner().invoke(app, ["plan", "engines"], env={"COLUMNS": "80"})

    assert "tier 1, as published: does not start\n" in result.output
    assert max(map(len, result.output.splitlines())) <= 80
