"""`pointsman top`, against a router that runs."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest
from rich.console import Console
from typer.testing import CliRunner

from pointsman.cli.fleet_picture import screen
from pointsman.cli.main import app
from pointsman.testing import days
from pointsman.testing.factories import a_pool, a_settings
from pointsman.testing.model_server import ModelServer
from pointsman.testing.router import RunningRouter


def shown(state: dict, width: int = 200) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(screen(state, "http://127.0.0.1:4001"))
    console.file.close()
    return console.export_text()


@pytest.fixture(scope="module")
def running():
    """A router on a thread of its own: (admin URL, the service, how to run something on its loop)."""
    ready, stop, box = threading.Event(), threading.Event(), {}

    async def serve() -> None:
        async with ModelServer(days.Answer()) as engine, RunningRouter(a_settings(a_pool("small", engine.url, engine.url))) as router:
            box["router"] = router
            ready.set()
            while not stop.is_set():
                await asyncio.sleep(0.01)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(60)
    yield box["router"]
    stop.set()
    thread.join(60)


def test_it_shows_every_tier_and_endpoint(running):
    text = shown(running.service.state())

    assert "small/0" in text
    assert "small/1" in text
    assert "fit" in text


def test_an_endpoint_that_leaves_says_until_when_and_why(running):
    running.service.depart("small/0", 90.0, "spot")
    text = shown(running.service.state())
    running.service.stay("small/0")

    line = next(line for line in text.splitlines() if line.startswith("small/0"))
    assert "draining" in line
    assert "leaves: spot" in line
    assert "min" in line or " s " in line


def test_an_endpoint_that_has_left_has_no_time_left(running):
    running.service.depart("small/0", 0.0, "spot")
    text = shown(running.service.state())
    running.service.stay("small/0")

    line = next(line for line in text.splitlines() if line.startswith("small/0"))
    assert "has left: spot" in line
    assert "-0" not in line


def test_one_look_and_json_for_scripts(running, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADMIN", "admin-token")
    asked = ["top", "--admin", running.admin, "--token", "${ADMIN}"]

    once = CliRunner().invoke(app, [*asked, "--once"])
    state = CliRunner().invoke(app, [*asked, "--json"])

    assert (once.exit_code, state.exit_code) == (0, 0), once.output
    assert "small/1" in once.output
    assert json.loads(state.output)["tiers"]["small"]["is_fit"] is True


def test_the_keys_of_providers_need_not_be_at_hand(running, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADMIN", "admin-token")
    monkeypatch.delenv("ELSEWHERE", raising=False)
    (tmp_path / "pointsman.yaml").write_text(
        "admin: {token: '${ADMIN}'}\n"
        "tiers: {small: {model: m, endpoints: [{url: 'https://api.example.com/v1', provider: example, api_key: '${ELSEWHERE}', "
        "usd_per_million: {input: 1, output: 1}}]}}\n")

    result = CliRunner().invoke(app, ["top", "--admin", running.admin, "--once"])

    assert result.exit_code == 0, result.output
    assert "small/1" in result.output


def test_an_admin_token_that_is_not_at_hand_is_said(running, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ELSEWHERE", raising=False)
    (tmp_path / "pointsman.yaml").write_text(
        "admin: {token: '${ELSEWHERE}'}\ntiers: {small: {model: m, endpoints: [{url: 'http://127.0.0.1:9/v1', gpu: {type: A100, usd_per_hour: 1}}]}}\n")

    result = CliRunner().invoke(app, ["top", "--admin", running.admin, "--once"])

    assert result.exit_code == 1
    assert "admin.token refers to ELSEWHERE" in result.output


def test_a_router_that_has_made_another_token_is_asked_with_that(running, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    token = tmp_path / "token"
    token.write_text("of-the-last-one")

    def started_again(_: float) -> None:
        if token.read_text() == "admin-token":
            raise KeyboardInterrupt
        token.write_text("admin-token")

    monkeypatch.setattr("pointsman.cli.top.time.sleep", started_again)
    monkeypatch.setattr("pointsman.cli.top.ask", lambda url, path, secret: (
        running.service.state() if secret in ("of-the-last-one", "admin-token") else pytest.fail("no token")))

    result = CliRunner().invoke(app, ["top", "--admin", running.admin, "--token", f"file:{token}"])

    assert result.exit_code == 0, result.output
    assert result.output.count("Pointsman") == 2


def test_a_router_that_is_not_there_is_said_in_a_sentence(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADMIN", "x")
    result = CliRunner().invoke(app, ["top", "--admin", "http://127.0.0.1:9", "--token", "${ADMIN}", "--once"])

    assert result.exit_code == 1
    assert "no router answers at http://127.0.0.1:9" in result.output
    assert "--admin" in result.output


def test_what_is_unfit_says_by_which_signal(running):
    state = running.service.state()
    state["tiers"]["small"] |= {"is_fit": False, "reason": "waiting", "detail": "waiting 7 >= 5 on small/0", "for_s": 12.0, "waiting": 3}

    text = shown(state)

    assert "waiting 7 >= 5 on small/0" in text
    assert "12.0 s" in text
