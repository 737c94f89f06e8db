"""What `pointsman simulate` refuses, and how it says so."""

import socket

import pytest
import typer
from typer.testing import CliRunner

from pointsman.cli.simulate import simulate

app = typer.Typer()
app.command()(simulate)
runner = CliRunner()


@pytest.mark.parametrize(("arguments", "said"), [
    (["--only", "tiny"], "small, medium, large"),
    (["--gpu", "H100"], "--only"),
    (["--only", "small", "--gpu", "B200"], "known: RTX 4090"),
])
def test_what_cannot_be_started_is_explained(arguments: list[str], said: str) -> None:
    result = runner.invoke(app, arguments, env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"})

    assert result.exit_code == 2
    assert said in result.output


def test_a_taken_port_is_named_with_its_tier_and_a_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        result = runner.invoke(app, ["--only", "small", "--port-base", str(port)])

    assert result.exit_code == 1
    said = " ".join(result.output.split())
    assert f"port {port} (tier small) is taken" in said
    assert "--port-base" in said


@pytest.mark.parametrize(("bad", "said"), [("small/1:lies", "no engine 'small/1'"), ("small/0:sleepy", "slow=TIMES")])
def test_troubles_of_nobody_and_unknown_troubles_are_refused(bad: str, said: str) -> None:
    result = runner.invoke(app, ["--only", "small", "--bad", bad], env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"})

    assert result.exit_code == 2
    assert said in result.output


@pytest.mark.parametrize("asked", [["--only", "large"], ["--only", "large", "--endpoints", "1"]])
def test_the_first_engine_has_the_port_that_was_asked_for(asked: list[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        result = runner.invoke(app, [*asked, "--port-base", str(port)])

    assert f"port {port} (tier large) is taken" in " ".join(result.output.split())
