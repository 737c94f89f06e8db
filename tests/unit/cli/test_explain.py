"""`pointsman explain`."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from pointsman.cli.explain import a_chat, explain
from pointsman.core.decision import Decision

app = typer.Typer()
app.command()(explain)

CONFIG = """
tiers:
  tiny:
    model: tiny-model
    endpoints:
      - {url: "http://127.0.0.1:9/v1"}
  huge:
    model: huge-model
    endpoints:
      - {url: "http://127.0.0.1:10/v1"}
routes:
  auto:
    ladder: [tiny, huge]
    default_tier: huge
    rules:
      - {when: {regex: "(?i)contract"}, tier: huge, reason: legal matter}
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("POINTSMAN_CONFIG", raising=False)


def run(*arguments, stdin=None):
    return CliRunner().invoke(app, list(arguments), input=stdin)


def test_without_a_configuration_it_uses_a_built_in_ladder_and_says_so():
    result = run("What are your business hours?")

    assert result.exit_code == 0
    for part in ("built-in ladder", "auto -> small (rung 1)", "heuristic", "$0.0992 per 1,000 typical requests", "per 1K like this", "not on your traffic"):
        assert part in result.output, part


def test_json_prints_the_decision_and_nothing_else():
    decision = msgspec.json.decode(run("Prove that sqrt(2) is irrational step by step", "--json").stdout.encode(), type=Decision)

    assert (decision.tier, decision.rung) == ("large", 3)


def test_a_prompt_can_come_from_standard_input():
    assert "auto -> small" in run("-", stdin="thanks!").output


def test_the_quality_target_can_be_set():
    assert "auto -> large" in run("What are your business hours?", "--quality", "0.999").output


def test_a_configuration_brings_its_rules(tmp_path):
    path = tmp_path / "other.yaml"
    path.write_text(CONFIG)
    result = run("read this contract", "-c", str(path))

    assert result.exit_code == 0, result.output
    assert "auto -> huge (rung 2), decided by rules" in result.output
    assert "legal matter" in result.output


def test_the_usual_configuration_is_found(tmp_path):
    (tmp_path / "pointsman.yaml").write_text(CONFIG)

    assert "auto -> tiny" in run("thanks").output


def test_an_unknown_route_is_a_sentence_and_a_failure():
    result = run("hello", "--route", "nope")

    assert result.exit_code == 1
    assert "there is no route 'nope' here; name one with --route: auto" in result.output


def test_a_missing_file_is_a_sentence_and_a_failure():
    result = run("hello", "-c", "absent.yaml")

    assert result.exit_code == 1
    assert "absent.yaml" in result.output


def test_tools_and_a_system_prompt_come_along():
    request = a_chat("hi", system="Be kind.", tools=2)

    assert [m.role for m in request.messages] == ["system", "user"]
    assert (request.tools, request.needs.tools) == (2, True)


def test_bytes_that_are_no_utf8_do_not_break_it():
    assert run("\udcff hello").exit_code == 0
    assert msgspec.json.decode(a_chat("\udcff").body)["messages"][0]["content"] == "?"


def test_a_cascade_tells_its_break_evens(tmp_path):
    file = tmp_path / "router.yaml"
    tiers = "".join(f"  {name}: {{model: {name}-m, endpoints: [{{url: \"http://127.0.0.1:{port}/v1\", usd_per_million: {{input: {usd}, output: {usd}}}}}]}}\n"
                    for name, port, usd in (("small", 8001, 0.1), ("large", 8002, 1.0)))
    file.write_text(f"tiers:\n{tiers}routes:\n  auto: {{verify: [logprobs], cascade: {{mode: benefit}}}}\n")

    said = run("--config", str(file), "Hello").output

    assert "cascade by benefit, at most 2 climbs" in said
    assert "small -> large: costs" in said


# -- those who would be asked

ASKED = CONFIG.replace("    rules:\n      - {when: {regex: \"(?i)contract\"}, tier: huge, reason: legal matter}\n",
                       "    pipeline: [rules, heuristic, remote]\n    remote: {url: \"URL\", remember: 0s}\n")


@pytest.fixture
def classifier():
    """An operator's classifier that always says `tiny`, on a thread of its own."""
    posted = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            posted.append(msgspec.json.decode(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"tier": "tiny", "reason": "because"}')

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/classify", posted
    server.shutdown()
    thread.join()
    server.server_close()


def test_nobody_is_asked_and_that_is_said(tmp_path, classifier):
    url, posted = classifier
    (tmp_path / "p.yaml").write_text(ASKED.replace("URL", url))
    result = run("Prove that sqrt(2) is irrational, step by step", "-c", "p.yaml")

    assert result.exit_code == 0, result.output
    assert "auto -> huge" in result.output
    assert f"remote was not asked ({url} would be asked): --ask does" in result.output
    assert posted == []


def test_with_leave_they_are_asked_as_the_router_would(tmp_path, classifier):
    url, posted = classifier
    (tmp_path / "p.yaml").write_text(ASKED.replace("URL", url))
    result = run("Prove that sqrt(2) is irrational, step by step", "-c", "p.yaml", "--ask")

    assert result.exit_code == 0, result.output
    assert "auto -> tiny" in result.output
    assert "your classifier says tiny: because" in result.output
    assert "was not asked" not in result.output
    assert [body["route"] for body in posted] == ["auto"]
