"""`pointsman check`, called as a person does."""

import json
import sys

import pytest
from typer.testing import CliRunner

from pointsman.cli.main import app
from pointsman.core.fleet import LoadReport
from pointsman.errors import ConnectFailed, UpstreamError
from pointsman.upstream.load_report.reader import HttpLoadReader

GOOD = """\
tiers:
  small:
    model: qwen-7b
    endpoints: [{url: "http://10.0.0.1:8001/v1", api_key: "${K}", gpu: {type: H100, usd_per_hour: 2.4}}]
  large:
    model: llama-70b
    endpoints: [{url: "http://10.0.0.2:8001/v1", usd_per_million: {input: 1, output: 2}}]
"""


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs the command on a file of this text."""
    monkeypatch.setenv("K", "s3cret")
    monkeypatch.setenv("NO_COLOR", "1")

    def invoke(text, *options):
        file = tmp_path / "router.yaml"
        file.write_text(text, "utf-8")
        return CliRunner().invoke(app, ["check", str(file), *options])

    return invoke


def test_a_good_file_is_shown_with_routes_pools_endpoints_prices_and_warnings(run):
    result = run(GOOD)

    assert result.exit_code == 0
    for words in ("1 route, 2 tiers, 2 pools, 2 endpoints", "route auto: rules -> heuristic", "2. tier large (default)",
                  "small/0  http://10.0.0.1:8001/v1", "1 x H100 at $2.4/h, nominal throughput", "$1 in, $2 out per million",
                  "warning: ", "\nok"):
        assert words in result.output
    assert "s3cret" not in result.output


def test_all_problems_are_printed_and_the_exit_status_is_one(run):
    result = run(GOOD + "routes: {auto: {ladder: [smal], quality: 7}}\n")

    assert result.exit_code == 1
    assert "router.yaml:8: routes.auto.ladder[0]: tier 'smal' does not exist; did you mean 'small'?" in result.output
    assert "routes.auto.quality" in result.output
    assert "2 problems in" in result.output


def test_json_says_the_same_to_scripts(run):
    good, bad = json.loads(run(GOOD, "--json").stdout), json.loads(run("tiers: {}", "--json").stdout)

    assert good["ok"] is True
    assert good["pools"]["small"]["endpoints"][0]["has_key"] is True
    assert good["routes"]["auto"]["ladder"] == ["small", "large"]
    assert "live" not in good
    assert "s3cret" not in json.dumps(good)
    assert bad["ok"] is False
    assert len(bad["problems"]) == 1


@pytest.fixture
def endpoints_say(monkeypatch):
    """Puts answers of endpoints, by id, in place of the network."""

    def install(answers):
        async def read(_, endpoint, until):
            answer = answers[endpoint.id]
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(HttpLoadReader, "read", read)

    return install


def says(*models, waiting=0, running=0, kv_usage=0.5, **fields):
    return LoadReport(waiting, running, kv_usage, at=0.0, models=models, **fields)


def test_live_tells_what_each_endpoint_serves(run, endpoints_say):
    endpoints_say({"small/0": says("qwen-7b", context=32768), "large/0": says("llama-70b")})
    result = run(GOOD, "--live")

    assert result.exit_code == 0
    assert "answers, lists 'qwen-7b', context 32768 tokens" in result.output
    assert "answers, lists 'llama-70b', context unknown" in result.output
    assert "ok; 2 of 2 endpoints answer and list their model" in result.output


def test_live_tells_an_endpoint_that_says_too_much_from_one_that_is_silent(run, endpoints_say):
    endpoints_say({"small/0": UpstreamError("endpoint small/0: /metrics has more than 4194304 bytes"), "large/0": says("llama-70b")})
    result = run(GOOD, "--live")

    assert result.exit_code == 1
    assert "answers, but not as asked: endpoint small/0: /metrics has more than" in " ".join(result.output.split())


def test_live_fails_when_one_is_gone_and_one_serves_something_else(run, endpoints_say):
    endpoints_say({"small/0": says("qwen-14b", "bge"), "large/0": ConnectFailed("connection refused", sent=False)})
    result = run(GOOD, "--live")

    assert result.exit_code == 1
    assert "answers, but does not list 'qwen-7b'; it lists: qwen-14b, bge" in result.output
    assert "no answer: connection refused" in result.output
    assert "0 of 2 endpoints" in result.output

    live = json.loads(run(GOOD, "--live", "--json").stdout)["live"]
    assert [(p["endpoint"], p["is_reachable"], p["is_listed"]) for p in live] == [("small/0", True, False), ("large/0", False, False)]


@pytest.mark.parametrize(("report", "words"), [
    (says("qwen-7b", waiting=2, running=3, engine="vllm", version="0.32.0", slots=8), "vllm 0.32.0: 3 running, 2 waiting, KV cache 50%, 8 slots\n"),
    (says("qwen-7b", waiting=None, running=None, kv_usage=None, engine="sglang"),
     "sglang: tells no load; unknown: waiting, running, kv_usage (start SGLang with --enable-metrics"),
    (says("qwen-7b", waiting=None, kv_usage=None, engine="llamacpp", slots=4),
     "llamacpp: 0 running, 4 slots; unknown: waiting, kv_usage (start llama.cpp with --metrics"),
    (says("qwen-7b", kv_usage=None, engine="llamacpp"), "llamacpp: 0 running, 0 waiting; unknown: kv_usage\n"),
    (says("qwen-7b", engine="vllm", is_awake=False), "vllm: asleep, 0 running"),
    (says("qwen-7b", waiting=None, running=None, kv_usage=None), "no engine that we know: tells no load\n"),
])
def test_live_shows_the_engine_its_load_and_how_to_get_what_is_missing(run, endpoints_say, report, words):
    endpoints_say({"small/0": report, "large/0": says("llama-70b")})
    output = run(GOOD, "--live").output

    assert words in output
    assert "load not asked for: somebody else's (`poll: auto`)" in output


def test_live_says_when_the_engine_is_another_than_configured(run, endpoints_say):
    endpoints_say({"small/0": says("qwen-7b", engine="vllm"), "large/0": says("llama-70b")})
    text = GOOD.replace("endpoints: [{url: \"http://10.0.0.1", "endpoints: [{engine: sglang, url: \"http://10.0.0.1")

    assert "vllm (configured as sglang: correct `engine`): 0 running" in run(text, "--live").output


def test_the_commands_name_is_not_imported_before_it_is_called():
    for name in [m for m in sys.modules if m.startswith("pointsman.cli.")]:
        if name != "pointsman.cli.main":
            sys.modules.pop(name)
    result = CliRunner().invoke(app, ["--help"])

    assert result.exit_code == 0
    assert "check" in result.output
    assert not {f"pointsman.cli.{name}" for name in ("serve", "check", "explain", "demo", "simulate")} & set(sys.modules)


def test_the_version_is_printed():
    assert CliRunner().invoke(app, ["--version"]).output.startswith("pointsman 0.")


def test_a_mistyped_command_gets_a_hint():
    result = CliRunner().invoke(app, ["chek"])

    assert result.exit_code == 2
    assert "Did you mean 'check'?" in result.output


def test_a_configuration_that_cannot_be_used_is_printed_not_traced(monkeypatch, capsys):
    from pointsman.cli import main as module
    from pointsman.errors import ConfigError

    def refuse():
        raise ConfigError(("a.yaml:1: file: bad",))

    monkeypatch.setattr(module, "app", refuse)
    with pytest.raises(SystemExit) as caught:
        module.main()

    assert caught.value.code == 1
    assert capsys.readouterr().err == "a.yaml:1: file: bad\n"
