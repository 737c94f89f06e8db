"""What the log says when an endpoint's service changes."""

from __future__ import annotations

import logging
import random

import pytest

from pointsman import errors
from pointsman.gateway.service_log import tell_change
from pointsman.pools.fleet import Fleet
from pointsman.testing.factories import a_pool, a_request, a_settings, an_endpoint

REFUSED = errors.CredentialRefused("endpoint small/0 answered 401: bad key")


class House:
    """One endpoint, whose requests end as they are told."""

    def __init__(self) -> None:
        self.fleet = Fleet(a_settings(a_pool("small", endpoints=(an_endpoint("small/0"),))))
        self.fleet.on_change.append(tell_change)

    def ends(self, now: float, error: errors.UpstreamError | None, times: int = 1) -> None:
        for _ in range(times):
            lease = self.fleet.lease("small", a_request(), (), now, random.Random(1), desperate=True)
            lease.close("answered" if error is None else "failed", now, error)

    @property
    def endpoint(self) -> dict:
        return self.fleet.pools["small"].status(0.0)["endpoints"][0]


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_failures_in_a_row_are_one_line_with_the_last_of_them(caplog):
    house = House()
    with caplog.at_level(logging.INFO):
        house.ends(1000.0, errors.ConnectFailed("endpoint small/0: cannot connect: Connection refused"), times=7)

    assert lines(caplog) == [("WARNING", "endpoint small/0 is out of service for 10 s: cannot connect: Connection refused")]
    assert house.endpoint["cause"] == "failures"
    assert "Connection refused" in house.endpoint["detail"]


def test_a_refused_credential_says_what_to_correct(caplog):
    house = House()
    with caplog.at_level(logging.INFO):
        house.ends(1000.0, REFUSED)

    [(level, line)] = lines(caplog)
    assert level == "ERROR"
    assert line == "endpoint small/0 is out of service, our credential is refused: answered 401: bad key; tried again in 60 s and after a reload"


def test_coming_back_is_told_and_nothing_is_left_of_the_failure(caplog):
    house = House()
    with caplog.at_level(logging.INFO):
        house.ends(1000.0, REFUSED)
        house.ends(1061.0, None)

    assert lines(caplog)[-1] == ("INFO", "endpoint small/0 is in service again")
    assert (house.endpoint["state"], house.endpoint["detail"]) == ("healthy", "")


def test_answers_say_nothing(caplog):
    with caplog.at_level(logging.INFO):
        House().ends(1000.0, None, times=30)

    assert lines(caplog) == []
