"""The table of habits and the code say the same."""

import inspect
import re
from pathlib import Path

from pointsman.gateway.port import Facts
from pointsman.server import body, limits
from pointsman.server.app import App
from pointsman.server.openai import lookalikes

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "habits.md").read_text("utf-8")
FACTS = Facts("r", "q", tier="small", model="m", attempts=1, cost_nano_usd=1, requested="auto", endpoint="small/0",
              overhead_s=0.001)


class Anything:
    def __getattr__(self, name):
        return name


def table(heading):
    """Habit -> verdict."""
    part = re.split(r"^#", PAGE.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    rows = [line.split("|") for line in part.splitlines() if line.startswith("| `")]
    return {word: row[2].strip() for row in rows for word in re.findall(r"`([^`]+)`", row[1])}


def test_every_verdict_is_one_of_six():
    verdicts = {verdict for heading in ("Routes", "Fields", "Request headers", "Response headers")
                for verdict in table(heading).values()}

    assert verdicts <= {"honoured", "mapped", "passed on", "ignored", "refused", "not sent"}


def test_fields_that_are_taken_out_are_those_in_the_table():
    fields = table("Fields")
    here = {name for name, verdict in fields.items() if verdict in ("honoured", "mapped") and "." not in name}

    assert here == (limits.CONSUMED - {"mock_testing_fallbacks"}) | {"metadata"}
    assert {name for name, verdict in fields.items() if verdict == "refused"} <= set(body._REFUSED) | limits.CONSUMED
    assert not {name for name, verdict in fields.items() if verdict == "passed on"} & body._READ


def test_headers_that_are_read_are_those_in_the_table():
    read = {name for name, verdict in table("Request headers").items() if verdict in ("honoured", "mapped")}

    assert read == {name.decode() for name in (limits.TIMEOUT, limits.STREAM_TIMEOUT, limits.RETRIES, limits.TAGS)} | {"x-session-id"}


def test_lookalikes_are_those_in_the_table():
    sent = {name for name, verdict in table("Response headers").items() if verdict != "not sent"}

    assert sent == {name.decode() for name, _ in lookalikes(FACTS)}


def test_routes_in_the_table_are_served():
    served = {path for _, path in App(*(Anything() for _ in inspect.signature(App).parameters)).table}
    listed = set(table("Routes"))

    short = {path for path in served if f"/v1{path}" in served}
    assert short | {"/health", "/v1/model/info", "/models/{name}"} == listed
