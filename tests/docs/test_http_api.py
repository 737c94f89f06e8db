"""The HTTP reference names every endpoint, every field that is read or refused, and every header."""

import inspect
import re
from pathlib import Path

import pytest

from pointsman.gateway.port import Facts
from pointsman.server import body
from pointsman.server.app import App
from pointsman.server.openai import fact_headers, pending_headers

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "http-api.md").read_text("utf-8")
FACTS = Facts("r", "q", route="auto", tier="small", rung=1, model="m", decided_by="policy", reason="why", attempts=1,
              cost_nano_usd=1, cost_basis="gpu", simulated=True, hold="24 tokens")


class Anything:
    def __getattr__(self, name):
        return name


def rows(heading):
    """The first cells of the table under a heading, without backticks."""
    part = PAGE.split(f"# {heading}\n", 1)[1]
    part = re.split(r"^#", part, maxsplit=1, flags=re.MULTILINE)[0]
    return [line.split("|")[1].strip() for line in part.splitlines() if line.startswith("| `")]


def words(cells):
    return {word for cell in cells for word in re.findall(r"`([^`]+)`", cell)}


def test_every_endpoint_is_listed():
    served = set(App(*(Anything() for _ in list(inspect.signature(App).parameters))).table)
    listed = words(rows("Endpoints for clients"))

    twins = {("GET", "/health/liveliness")} | {(method, path) for method, path in served if method == "HEAD"}
    twins |= {(method, path) for method, path in served if (method, f"/v1{path}") in served}
    for method, path in served - twins:
        assert f"{method} {path}" in listed
    assert {tuple(entry.split(" ")) for entry in listed if " " in entry} - {("GET", "/v1/models/{name}")} <= served


def test_every_field_that_is_read_is_listed():
    listed = {re.split(r"[\[.]", word)[0] for word in words(rows("Read"))}

    assert listed == body._READ - set(body._REFUSED)


def test_every_field_that_is_refused_is_listed():
    assert words(rows("Refused")) == set(body._REFUSED)


@pytest.mark.parametrize("headers", [fact_headers(FACTS), pending_headers(FACTS)], ids=["answered", "pending"])
def test_every_header_is_listed(headers):
    listed = {header.lower() for header in words(rows("Response headers"))}

    assert {key.decode() for key, _ in headers if not key.startswith(b"x-litellm-")} <= listed


def test_no_header_is_listed_that_is_not_sent():
    listed = {header.lower() for header in words(rows("Response headers"))}

    assert listed == {key.decode() for key, _ in fact_headers(FACTS) if not key.startswith(b"x-litellm-")}
