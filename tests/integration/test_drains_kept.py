"""What the operator has drained stays drained: over a restart, a kill, a reload, with one worker and with two."""

from __future__ import annotations

import http.client
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from pointsman.testing import days
from pointsman.testing.model_server import ModelServer, ServerThread
from pointsman.testing.served import Served

CONFIG = """
server: {{port: 0, workers: {workers}}}
admin: {{port: 0, token: "file:token"}}
records: {{path: state/records.db}}
tiers:
  small:
    model: small-model
    endpoints: [{endpoints}]
"""
ASK = {"model": "small", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def engines():
    servers = ModelServer(days.Answer()), ModelServer(days.Answer())
    with ServerThread(servers[0]), ServerThread(servers[1]):
        yield tuple(server.url for server in servers)


class Router(Served):
    def admin(self, path: str, method: str = "GET", body: dict[str, Any] | None = None) -> Any:
        return self.call(self.admin_port, method, path, body)[1]

    def call(self, port: int, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request(method, path, None if body is None else json.dumps(body),
                               {"authorization": "Bearer the-token", "content-type": "application/json"})
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read()), dict(reply.headers)
        finally:
            connection.close()

    def served_by(self, count: int = 6) -> set[str]:
        """Endpoints that answered so many requests, by the records they left."""
        found = set()
        for _ in range(count):
            status, _, headers = self.call(self.port, "POST", "/v1/chat/completions", ASK)
            assert status == 200
            found.add(self.admin(f"/records/{headers['x-route-record']}")["endpoint"])
        return found

    @property
    def leaving(self) -> dict[str, Any]:
        found: dict[str, Any] = self.admin("/state")["departures"]["leaving"]
        return found

    def states(self) -> dict[str, str]:
        return {endpoint["id"]: endpoint["state"] for endpoint in self.admin("/state")["pools"]["small"]["endpoints"]}


def configure(folder: Path, *urls: str, workers: int = 1) -> None:
    (folder / "token").write_text("the-token")
    (folder / "token").chmod(0o600)
    endpoints = ", ".join(f'{{url: "{url}", usd_per_million: {{input: 1, output: 2}}}}' for url in urls)
    (folder / "router.yaml").write_text(CONFIG.format(workers=workers, endpoints=endpoints))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_drain_outlives_a_kill_and_is_taken_back_afterwards(tmp_path, engines, workers):
    configure(tmp_path, *engines, workers=workers)
    with Router(tmp_path, "--no-watch", "--no-log-requests") as router:
        told = router.admin("/endpoints/small/0/drain", "POST", {"deadline": 600, "reason": "new kernel"})
        assert told["is_kept"]
        router.signal(signal.SIGKILL)
        router.end()

    with Router(tmp_path, "--no-watch", "--no-log-requests") as router:
        assert router.states() == {"small/0": "draining", "small/1": "healthy"}
        leaving = router.leaving["small/0"]
        assert (leaving["reason"], leaving["asked_by"]) == ("new kernel", ["operator"])
        assert 0 < leaving["leaves_in_s"] < 600
        assert leaving["for_s"] > 0
        assert router.served_by() == {"small/1"}

        assert router.admin("/endpoints/small/0/drain", "DELETE")["was_leaving"]
        assert (router.leaving, router.states()) == ({}, {"small/0": "healthy", "small/1": "healthy"})
        router.signal(signal.SIGTERM)
        assert router.end() == 0

    with Router(tmp_path, "--no-watch", "--no-log-requests") as router:
        assert (router.leaving, router.states()) == ({}, {"small/0": "healthy", "small/1": "healthy"})


def test_a_drain_whose_time_is_past_is_still_one(tmp_path, engines):
    configure(tmp_path, *engines)
    with Router(tmp_path, "--no-watch", "--no-log-requests") as router:
        router.admin("/endpoints/small/0/drain", "POST", {"deadline": 0, "reason": "burnt"})

    with Router(tmp_path, "--no-watch", "--no-log-requests") as router:
        assert router.leaving["small/0"]["leaves_in_s"] <= 0
        assert router.served_by() == {"small/1"}


def test_a_drain_follows_its_server_to_another_place_and_ends_with_it(tmp_path, engines):
    one, two = engines
    configure(tmp_path, one, two)
    with Router(tmp_path, "--no-watch", "--no-log-requests") as router:
        router.admin("/endpoints/small/0/drain", "POST", {"deadline": 600, "reason": "new kernel"})
        configure(tmp_path, two, one)
        assert router.admin("/reload", "POST")["reloaded"]
        assert (list(router.leaving), router.states()) == (["small/1"], {"small/0": "healthy", "small/1": "draining"})

    with Router(tmp_path, "--no-watch", "--no-log-requests") as router:
        assert list(router.leaving) == ["small/1"]
        configure(tmp_path, two)
        assert router.admin("/reload", "POST")["reloaded"]
        assert router.leaving == {}
        configure(tmp_path, two, one)  # whoever comes back by that address is somebody new
        assert router.admin("/reload", "POST")["reloaded"]
        assert router.states() == {"small/0": "healthy", "small/1": "healthy"}
