"""`pointsman report`: shares, dollars and seconds of each rung."""

import json

import msgspec
from typer.testing import CliRunner

from pointsman.cli.main import app
from pointsman.core.record import Attempt, Check, Escalation, Record
from pointsman.records.rows import row_of
from pointsman.records.store import Store

CLIMB = Escalation("small", "large", "verifier")


def an_attempt(number, tier, cost, duration):
    return Attempt(number, tier, tier, f"{tier}/0", "m", "chosen", 0.0, duration, 0.1, "answered", cost_nano_usd=cost)


def a_record(number, *attempts, tier, route="auto", **values):
    return Record(f"{number:032x}", float(number), "chat", "auto", route, "", "", False, "answered", 200, 1.0, None, routing_tier=tier, attempts=attempts, **values)


def a_store(folder):
    kept = a_record(1, an_attempt(1, "small", 1_000_000, 1.0), tier="small")
    climbed = a_record(2, an_attempt(1, "small", 1_000_000, 1.0), an_attempt(2, "large", 40_000_000, 3.0), tier="large",
                       checks=(Check(1, "small", 0.1, -2.0, True, 0.2, cost_nano_usd=5),), escalations=(CLIMB,))
    other = a_record(3, an_attempt(1, "large", 40_000_000, 2.0), tier="large", route="support")
    store = Store(folder / "records.db")
    store.open()
    store.add([[row_of(msgspec.json.encode(one)) for one in (kept, climbed, other)]], file="spool", position=1)
    store.close()
    return folder / "records.db"


def run(*words):
    return CliRunner().invoke(app, ["report", *[str(word) for word in words]])


def test_a_rung_is_paid_for_all_its_attempts_and_told_how_often_it_was_left(tmp_path):
    found = json.loads(run("--records", a_store(tmp_path), "--json").output)
    small = next(one for one in found if (one["route"], one["tier"]) == ("auto", "small"))

    assert (small["began"], small["answered"], small["share"]) == (2, 1, 0.5)
    assert (small["cost_nano_usd"], small["checks_nano_usd"]) == (2_000_000, 5)
    assert (small["judged"], small["left"]) == (1, 1)


def test_the_table_has_a_row_per_rung(tmp_path):
    result = run("--records", a_store(tmp_path))

    assert result.exit_code == 0, result.output
    assert "1 (100%)" in result.output
    assert result.output.count("large") == 2
    assert "0.002000" in result.output, "two tenths of a cent are not nothing"


def test_one_route_alone(tmp_path):
    assert {one["route"] for one in json.loads(run("--records", a_store(tmp_path), "--route", "support", "--json").output)} == {"support"}


def test_without_records_it_says_where_it_looked(tmp_path):
    result = run("--records", tmp_path / "nothing.db")

    assert result.exit_code == 2
    assert "nothing.db" in result.output


def test_nothing_yet_is_no_error(tmp_path):
    path = a_store(tmp_path)
    assert "no request" in run("--records", path, "--route", "elsewhere").output
