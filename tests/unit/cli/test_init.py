"""`pointsman init`, called as a person does, over what stands on loopback ports."""

import os
import stat

import pytest
from typer.testing import CliRunner

from pointsman.cli.main import app
from pointsman.config.load import load
from pointsman.testing.model_server import ModelServer, ServerThread


@pytest.fixture
def engines():
    """Small, medium and large."""
    with (ServerThread(ModelServer(model="llama3.2:3b")) as small, ServerThread(ModelServer(model="qwen2.5:32b")) as medium,
          ServerThread(ModelServer(model="llama3.3:70b")) as large):
        yield [thread.server for thread in (small, medium, large)]


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs the command in a bare directory, with nothing of this machine's in sight."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.endswith("_API_KEY") or name.startswith(("OPENAI_", "POINTSMAN_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*options, ports=(), answers=None):
        usual = ",".join(str(port) for port in ports)
        given = None if answers is None else "\n".join(answers) + "\n"
        return CliRunner().invoke(app, ["init", "--usual-ports", usual, *options], input=given)

    return invoke


def ports(engines):
    return [engine.port for engine in engines]


def test_yes_takes_findings_and_defaults_and_ends_with_the_next_command(run, engines):
    result = run("--yes", ports=ports(engines))

    assert result.exit_code == 0, result.output
    settings = load("pointsman.yaml", environ={})
    assert [settings.pools[tier].model for tier in ("small", "medium", "large")] == ["llama3.2:3b", "qwen2.5:32b", "llama3.3:70b"]
    assert (settings.routes["auto"].quality, settings.server.port, settings.keys, settings.records.content) == (0.8, 4000, (), "none")
    assert "3 B parameters by its name; the smallest" in result.output
    assert result.output.rstrip().endswith("Next: pointsman serve")


def test_answers_come_through_a_pipe(run, engines):
    result = run(ports=ports(engines), answers=["3, llama3.2:3b", "0.95", "4100", "generate", "all"])

    assert result.exit_code == 0, result.output
    settings = load("pointsman.yaml", environ={})
    assert [settings.pools[tier].model for tier in settings.tiers] == ["llama3.2:3b", "llama3.3:70b"]
    assert (settings.routes["auto"].quality, settings.server.port, settings.admin.port) == (0.95, 4100, 4101)
    assert [key.name for key in settings.keys] == ["first-client"]
    assert settings.records.content == "all"
    with open(".pointsman/client.key") as file:
        key = file.read().strip()
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == 0o600
    assert key.startswith("pm-")
    assert key not in result.output
    with open("pointsman.yaml") as file:
        assert key not in file.read()


def test_when_the_pipe_runs_out_the_defaults_are_taken(run, engines):
    result = run(ports=ports(engines), answers=["1"])

    assert result.exit_code == 0, result.output
    settings = load("pointsman.yaml", environ={})
    assert [pool.model for pool in settings.pools.values()] == ["llama3.2:3b"]
    assert settings.routes["auto"].quality == 0.8


def test_an_answer_that_makes_no_sense_is_asked_again(run, engines):
    result = run(ports=ports(engines), answers=["9", "1,2,3,1,nobody", "1,2", "7", "high", "0.7", "99999", "4000", "maybe", "none", "n"])

    assert result.exit_code == 0, result.output
    for words in ("'9' is neither a number", "'nobody' is neither", "a number from 0 to 1", "a port from 1 to 65535", "one of none, generate, env"):
        assert words in result.output
    assert load("pointsman.yaml", environ={}).routes["auto"].quality == 0.7


def test_a_key_from_the_environment_is_a_reference_and_how_to_set_it_is_said(run, engines):
    result = run(ports=ports(engines), answers=["", "", "", "env", ""])

    assert "export POINTSMAN_CLIENT_KEY=" in result.output
    assert [key.name for key in load("pointsman.yaml", environ={"POINTSMAN_CLIENT_KEY": "pm-x"}).keys] == ["first-client"]


def test_a_file_that_is_there_stays_unless_forced(run, engines, tmp_path):
    (tmp_path / "pointsman.yaml").write_text("mine")
    refused = run("--yes", ports=ports(engines))

    assert refused.exit_code == 1
    assert "--force" in refused.output
    assert (tmp_path / "pointsman.yaml").read_text() == "mine"
    assert run("--yes", "--force", ports=ports(engines)).exit_code == 0
    assert load("pointsman.yaml", environ={}).tiers


def test_another_file_is_named_in_the_next_command(run, engines):
    result = run("--yes", "--output", "router.yaml", ports=ports(engines))

    assert result.output.rstrip().endswith("Next: pointsman serve --config router.yaml")


def test_with_nothing_found_it_asks_where_and_looks_there(run, engines):
    result = run(answers=["no address at all", f"127.0.0.1:{engines[0].port}"])

    assert result.exit_code == 0, result.output
    assert "host:port" in result.output
    assert load("pointsman.yaml", environ={}).pools["only"].model == "llama3.2:3b"


def test_with_nothing_found_and_nobody_to_ask_it_says_what_to_do(run, tmp_path):
    result = run("--yes")

    assert result.exit_code == 1
    for words in ("nothing to route to", "export OPENAI_API_KEY", "ollama serve", "vllm serve", "llama-server", "pointsman demo", "--probe"):
        assert words in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_key_is_written_as_its_variables_name(run, engines, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    monkeypatch.setenv("OPENAI_BASE_URL", engines[0].url)
    result = run("--yes")

    assert result.exit_code == 0, result.output
    with open("pointsman.yaml") as file:
        text = file.read()
    assert '"${OPENAI_API_KEY}"' in text
    assert "sk-very-secret" not in text + result.output
    assert "$OPENAI_API_KEY: keep" in result.output
