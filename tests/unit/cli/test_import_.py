"""`pointsman import`, called as a person does."""

import json
import re

import pytest
from typer.testing import CliRunner

from pointsman.cli.main import app

LITELLM = """\
model_list:
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_key: sk-from-the-file-itself}
  - model_name: gpt-4o-mini
    litellm_params: {model: openai/gpt-4o-mini, api_key: os.environ/OPENAI_API_KEY, rpm: 60}
"""


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "config.yaml").write_text(LITELLM)
    return lambda *words, **options: CliRunner().invoke(app, ["import", *words], **options)


def test_the_configuration_is_printed_and_the_report_beside_it(run):
    result = run("litellm", "config.yaml")

    assert result.exit_code == 0
    assert result.stdout.startswith("# yaml-language-server: $schema=")
    assert "gpt-4o-mini:" in result.stdout
    assert re.search(r"dropped +5  model_list\[1\]\.litellm_params\.rpm +there is no limit", result.stderr)
    assert "set OPENAI_API_KEY: the key for https://api.openai.com/v1" in result.stderr


def test_with_output_the_file_passes_the_check_and_the_report_is_printed(run, tmp_path, monkeypatch):
    result = run("litellm", "config.yaml", "-o", "pointsman.yaml")
    for variable in ("OPENAI_API_KEY", "OPENAI_API_KEY_2"):
        monkeypatch.setenv(variable, f"value-of-{variable}")
    checked = CliRunner().invoke(app, ["check", "pointsman.yaml"])

    assert result.exit_code == 0
    assert "carried, " in result.stdout
    assert "wrote pointsman.yaml; next: pointsman check pointsman.yaml --live" in result.stdout
    assert checked.exit_code == 0, checked.output
    assert (tmp_path / "pointsman.yaml").read_text().startswith("# yaml-language-server")


def test_a_literal_key_is_nowhere(run, tmp_path):
    shown = [run("litellm", "config.yaml", *options).output for options in ((), ("--json",), ("-o", "new.yaml"))]

    assert not any("sk-from-the-file-itself" in text for text in (*shown, (tmp_path / "new.yaml").read_text()))


def test_an_existing_file_is_kept_unless_forced(run, tmp_path):
    (tmp_path / "mine.yaml").write_text("mine")
    kept = run("litellm", "config.yaml", "-o", "mine.yaml")

    assert (kept.exit_code, (tmp_path / "mine.yaml").read_text()) == (2, "mine")
    assert "add --force" in kept.stderr
    assert run("litellm", "config.yaml", "-o", "mine.yaml", "--force").exit_code == 0
    assert "tiers:" in (tmp_path / "mine.yaml").read_text()


def test_json_has_everything_for_scripts(run):
    said = json.loads(run("litellm", "config.yaml", "--json").stdout)

    assert said["ok"] is True
    assert set(said["variables"]) == {"OPENAI_API_KEY", "OPENAI_API_KEY_2"}
    assert {finding["fate"] for finding in said["findings"]} == {"carried", "changed", "dropped"}
    assert said["configuration"].startswith("#")


def test_standard_input_is_read(run):
    result = run("litellm", "-", input=LITELLM)

    assert result.exit_code == 0
    assert "from standard input" in result.stdout


def test_nothing_left_exits_with_one_and_writes_nothing(run, tmp_path):
    (tmp_path / "azure.yaml").write_text("model_list: [{model_name: a, litellm_params: {model: azure/gpt-4}}]")
    result = run("litellm", "azure.yaml", "-o", "new.yaml")

    assert result.exit_code == 1
    assert "no configuration was written" in result.stdout
    assert not (tmp_path / "new.yaml").exists()


@pytest.mark.parametrize(("text", "words"), [
    ("model_list: [{model_name: a, model_name: b}]", "given twice"),
    ("tiers: {}", "has no `model_list`"),
    ("{", "not YAML"),
    ("\xff", "has no `model_list`"),
])
def test_what_cannot_be_read_exits_with_two(run, tmp_path, text, words):
    (tmp_path / "bad.yaml").write_text(text, "utf-8")
    result = run("litellm", "bad.yaml")

    assert result.exit_code == 2
    assert words in result.stderr
    assert run("litellm", "none.yaml").exit_code == 2


def test_a_routellm_command_line_is_taken_behind_two_dashes(run):
    result = run("routellm", "--json", "--", "python", "-m", "routellm.openai_server", "--routers", "mf", "--strong-model", "gpt-4o",
                 "--weak-model", "gpt-4o-mini", "router-mf-0.11593")
    said = json.loads(result.stdout)

    assert said["ok"] is True
    assert "router-mf-0.11593:" in said["configuration"]


def test_an_openrouter_request_is_taken(run, tmp_path):
    (tmp_path / "request.json").write_text('{"model": "openai/gpt-4o", "provider": {"only": ["azure"]}, "messages": []}')
    result = run("openrouter", "request.json")

    assert result.exit_code == 0
    assert '#   only: ["azure"]' in result.stdout
