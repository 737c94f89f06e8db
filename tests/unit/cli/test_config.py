"""`pointsman config schema` and `pointsman config diff`, called as a person does."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from typer.testing import CliRunner

from pointsman.cli.main import app
from pointsman.config.difference import plain
from pointsman.config.jsonschema import json_schema
from pointsman.config.load import load_text

FILE = """\
records: {path: records/records.db}
tiers:
  small: {model: qwen-7b, endpoints: [{url: "http://10.0.0.1/v1", slots: 256, api_key: "${K}"}]}
"""


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("K", "s3cret")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pointsman.yaml").write_text(FILE, "utf-8")
    return lambda *words: CliRunner().invoke(app, ["config", *map(str, words)])


class AdminListener:
    """Answers `GET /config` with what it is given, to whoever has the token."""

    def __init__(self, body, status=200):
        listener = self
        self.asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                listener.asked.append((self.path, self.headers.get("authorization")))
                code = status if self.headers.get("authorization") == "Bearer t0ken" else 401
                self.send_response(code)
                self.end_headers()
                self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def running(text=FILE, overridden=()):
    return {"settings": plain(load_text(text, "x", {"K": "s3cret"})), "overridden": list(overridden), "generation": 1, "source": "x"}


def test_the_schema_is_printed_or_written(run, tmp_path):
    printed = run("schema")
    written = run("schema", "-o", "there.json")

    assert json.loads(printed.stdout) == json_schema()
    assert (written.exit_code, written.output) == (0, "")
    assert (tmp_path / "there.json").read_text() == printed.stdout


def test_two_files_are_compared(run, tmp_path):
    (tmp_path / "old.yaml").write_text(FILE.replace("256", "128") + "server: {port: 5000}\n")
    result = run("diff", "pointsman.yaml", "--against", "old.yaml")

    assert result.exit_code == 1
    assert result.stdout == "server.port: 5000 -> 4000 (needs restart)\ntiers.small.endpoints[0].slots: 128 -> 256\n"
    assert result.stderr == "2 differences from old.yaml to pointsman.yaml\n"


def test_equal_files_exit_with_zero(run):
    result = run("diff", "--against", "pointsman.yaml")

    assert (result.exit_code, result.stdout) == (0, "")
    assert "no difference" in result.stderr


def test_a_running_router_is_asked_with_the_token_it_has_written(run, tmp_path):
    (tmp_path / "records").mkdir()
    (tmp_path / "records/admin.token").write_text("t0ken\n")
    with AdminListener(running(FILE.replace("256", "64"))) as router:
        result = run("diff", "--against", router.url)

    assert result.exit_code == 1
    assert result.stdout == "tiers.small.endpoints[0].slots: 64 -> 256\n"
    assert router.asked == [("/config", "Bearer t0ken")]


def test_without_against_the_admin_listener_of_the_file_is_asked(run, tmp_path):
    (tmp_path / "token").write_text("t0ken")
    with AdminListener(running()) as router:
        text = FILE + f'admin: {{port: {router.server.server_port}, token: "file:token"}}\n'
        (tmp_path / "pointsman.yaml").write_text(text)
        result = run("diff")

    assert router.asked
    assert "admin.token: absent -> a secret (needs restart)" in result.stdout


def test_what_the_command_line_of_the_router_replaces_is_no_difference(run, monkeypatch):
    monkeypatch.setenv("T", "t0ken")
    with AdminListener(running(FILE + "server: {port: 5000}\n", ["server.port"])) as router:
        result = run("diff", "--against", router.url, "--token", "${T}")

    assert result.exit_code == 0
    assert "server.port: given on the command line" in result.stderr


def test_a_changed_secret_is_told_and_never_shown(run, monkeypatch):
    monkeypatch.setenv("T", "t0ken")
    monkeypatch.setenv("K", "an0ther")
    with AdminListener(running()) as router:
        result = run("diff", "--against", router.url, "--token", "os.environ/T", "--json")

    said = json.loads(result.stdout)
    assert [one["sentence"] for one in said["differences"]] == ["tiers.small.endpoints[0].api_key: the secret has changed"]
    assert said["equal"] is False
    assert "s3cret" not in result.output
    assert "an0ther" not in result.output


@pytest.mark.parametrize(("body", "status", "words"), [
    (running(), 404, "answers 404; is it the admin listener"),
    (b"<html>", 200, "does not answer with JSON"),
    ({"data": []}, 200, "answers, but not with a configuration"),
])
def test_another_server_is_told_apart(run, monkeypatch, body, status, words):
    monkeypatch.setenv("T", "t0ken")
    with AdminListener(body, status) as server:
        result = run("diff", "--against", server.url, "--token", "${T}")

    assert result.exit_code == 2
    assert words in result.stderr


def test_problems_exit_with_two_and_say_what_to_do(run, tmp_path, monkeypatch):
    monkeypatch.setenv("T", "wrong")
    with AdminListener(running()) as router:
        refused = run("diff", "--against", router.url, "--token", "${T}")
        unnamed = run("diff", "--against", router.url)
        literal = run("diff", "--against", router.url, "--token", "t0ken")
    nobody = run("diff", "--against", router.url, "--token", "${T}")
    (tmp_path / "bad.yaml").write_text("tiers: {}")
    bad = run("diff", "bad.yaml")

    assert "does not take the token" in refused.stderr
    assert "no admin token: there is no records/admin.token" in unnamed.stderr
    assert "--token: a secret must not stand in the file" in literal.stderr
    assert "no router answers at" in nobody.stderr
    assert "bad.yaml:1: tiers: must not be empty" in bad.stderr
    assert {one.exit_code for one in (refused, unnamed, literal, nobody, bad)} == {2}


def test_the_group_shows_its_commands():
    result = CliRunner().invoke(app, ["config", "--help"])

    assert "schema" in result.output
    assert "diff" in result.output
