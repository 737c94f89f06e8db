"""The list under `verify`, from the words of a file to settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pointsman.config.difference import differences, plain
from pointsman.config.load import load_with_warnings
from pointsman.config.verifiers import read_verifier
from pointsman.core.settings import Settings
from pointsman.core.verdict import Rates
from pointsman.core.verifying import (
    Agreement,
    CommandCheck,
    HttpCheck,
    JsonSchema,
    Judged,
    Logprobs,
    ToolCalls,
    WellFormed,
)
from pointsman.errors import ConfigError


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes a configuration with these verifiers, reads it, and says its settings and warnings."""
    monkeypatch.setenv("CHECK_TOKEN", "t0ken")

    def read(verify: Any, tier: Any = None) -> tuple[Settings, list[str]]:
        def a_tier(port: int) -> dict[str, Any]:
            return {"model": f"m{port}", "endpoints": [{"url": f"http://127.0.0.1:{port}/v1", "usd_per_million": {"input": 1.0, "output": 1.0}}]}
        data = {"tiers": {"small": a_tier(8001), "large": a_tier(8002)}, "routes": {"auto": {"cascade": {"mode": "benefit"}, "verify": verify}}}
        if tier is not None:
            data["tiers"]["small"]["verify"] = tier
        path = tmp_path / "p.yaml"
        path.write_text(yaml.safe_dump(data))
        loaded = load_with_warnings(path)
        return loaded.settings, [str(warning) for warning in loaded.warnings]

    return read


def test_a_name_alone_is_a_verifier_with_its_defaults(written):
    settings, _ = written(["well_formed", {"json_schema": None}, {"tool_calls": {}}])

    assert settings.routes["auto"].verify == (WellFormed(), JsonSchema(), ToolCalls())
    assert settings.tiers["small"].verify is None


def test_every_verifier_becomes_its_settings(written, tmp_path):
    settings, _ = written([
        {"logprobs": {"curve": [[-1, 0.2], [0, 0.9]], "floor": -3.0, "misses": 0.2, "false_alarms": 0.1}},
        {"model": {"pool": "large", "form": "enum", "name": "judge", "timeout": "500ms"}}, "p_true", "self_report",
        {"agreement": {"samples": 3}}, {"http": {"url": "http://127.0.0.1:9/check", "token": "${CHECK_TOKEN}"}},
        {"command": {"run": ["pytest"], "sandbox": True, "beside": str(tmp_path), "memory": "1GiB", "cpu": "2s"}}])

    logprobs, model, p_true, report, agreement, http, command = settings.routes["auto"].verify
    assert isinstance(logprobs, Logprobs)
    assert (logprobs.curve, logprobs.floor, logprobs.rates) == (((-1.0, 0.2), (0.0, 0.9)), -3.0, Rates(0.2, 0.1))
    assert isinstance(model, Judged)
    assert (model.name, model.pool, model.form, model.how, model.bound.timeout_s) == ("judge", "large", "enum", "model", 0.5)
    assert [(each.name, each.how, each.pool) for each in (p_true, report)] == [("p_true", "p_true", ""), ("self_report", "self_report", "")]
    assert isinstance(agreement, Agreement)
    assert agreement.samples == 3
    assert isinstance(http, HttpCheck)
    assert http.token == "t0ken"
    assert isinstance(command, CommandCheck)
    assert (command.run, command.memory_bytes, command.cpu_s, command.beside) == (("pytest",), 2**30, 2.0, str(tmp_path))


def test_a_command_without_sandbox_is_off_and_said_to_be(written):
    settings, warnings = written(["well_formed", {"command": {"run": ["pytest"]}}])

    assert settings.routes["auto"].verify == (WellFormed(),)
    assert any("verify[1].command: is off" in warning for warning in warnings)


def test_running_without_isolation_is_warned_about(written):
    _, warnings = written([{"command": {"run": ["pytest"], "sandbox": True, "i_accept_no_isolation": True}}])

    assert any("the router's own rights" in warning for warning in warnings)


def test_tests_that_are_not_on_this_machine_are_warned_about(written):
    _, warnings = written([{"command": {"run": ["pytest"], "sandbox": True, "beside": "/no/such/place"}}])

    assert any("is no directory on this machine" in warning for warning in warnings)


def test_an_empty_list_of_a_tier_is_nobody(written):
    settings, _ = written(["well_formed"], tier=[])

    assert settings.tiers["small"].verify == ()


@pytest.mark.parametrize(("verify", "problem"), [
    ([{}], "has no verifier"), ([{"well_formed": {}, "json_schema": {}}], "has `well_formed` and `json_schema`"),
    (["well_formed", "well_formed"], "the same name as [0]: 'well_formed'"), ([{"model": {"pool": "larg"}}], "did you mean 'large'"),
    ([{"http": {"url": "ftp://x"}}], "must start with http"), ([{"http": {"url": "http://u:p@x"}}], "must not hold credentials"),
    ([{"command": {"run": ["x"], "reads": "opt"}}], "is not an absolute path"), ([{"command": {"run": []}}], "run"),
    ([{"command": {"run": ["x"], "reads": ["/opt/venv", "/etc/"]}}], "would be seen by what a model wrote"),
    ([{"command": {"run": ["x"], "beside": "/usr", "file": "bin"}}], "is in '/usr' already"),
    ([{"command": {"run": ["x"], "file": "../x"}}], "file"), ([{"logprobs": {"signal": "entropy"}}], "`entropy` compares alternatives"),
    ([{"logprobs": {"signal": "q10"}}], "not for `q10`"), ([{"logprobs": {"curve": [[0, 2], [1, 0]]}}], "is not between 0 and 1"),
    ([{"logprobs": {"weights": {"men": 1.0}}}], "did you mean 'mean'"), (["logprob"], "logprob"), ([5], "verify[0]"),
])  # fmt: skip
def test_mistakes_are_told_with_their_place(written, verify: Any, problem: str):
    with pytest.raises(ConfigError) as raised:
        written(verify)

    assert problem in str(raised.value)
    assert "routes.auto.verify" in str(raised.value)


def test_a_changed_token_is_a_difference_that_shows_no_token(written, monkeypatch):
    check = [{"http": {"url": "http://127.0.0.1:9/check", "token": "${CHECK_TOKEN}"}}]
    one, _ = written(check)
    monkeypatch.setenv("CHECK_TOKEN", "another")
    other, _ = written(check)

    (difference,) = differences(plain(one), plain(other))
    assert difference.path == "routes.auto.verify"
    assert "t0ken" not in str(difference)
    assert "another" not in str(difference)


@pytest.mark.parametrize(("written_", "read"), [("a", {"a": {}}), ({"a": None}, {"a": {}}), ({"a": {"b": 1}}, {"a": {"b": 1}}), (5, 5)])
def test_shorthand_is_read(written_: Any, read: Any):
    assert read_verifier(written_) == read
