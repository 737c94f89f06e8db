"""What one process knows of the endpoints' health that others do not."""

from __future__ import annotations

import msgspec

from pointsman.core.fleet import EndpointState
from pointsman.core.settings import HealthSettings
from pointsman.pools.endpoint import Vitals
from pointsman.pools.fleet import Fleet
from pointsman.pools.health import Signal
from pointsman.state.outlook import Outlook
from pointsman.testing.factories import a_pool, a_settings

SETTINGS = a_settings(a_pool("small", "http://a/v1", "http://b/v1"))
HEALTH = HealthSettings()


class Process:
    def __init__(self) -> None:
        self.fleet = Fleet(SETTINGS)
        self.outlook = Outlook(self.fleet)

    def vitals(self, index: int = 0) -> Vitals:
        return self.fleet.pools["small"].endpoints[index].vitals

    def fails(self, times: int, now: float) -> None:
        for _ in range(times):
            self.vitals().learn(Signal.SICK, now, HEALTH, "ordinary")


def test_one_ejects_and_all_stay_away_until_its_time_is_up():
    one, two = Process(), Process()
    one.fails(5, 100.0)

    assert two.outlook.hear(one.outlook.found_out(100.0))
    assert two.vitals().state() is EndpointState.EJECTED
    assert two.vitals().open_at == one.vitals().open_at == 110.0


def test_what_was_said_is_no_news_again_and_no_echo():
    one, two = Process(), Process()
    one.fails(5, 100.0)
    news = one.outlook.found_out(100.0)
    two.outlook.hear(news)

    assert one.outlook.found_out(101.0) == two.outlook.found_out(101.0) == ()
    assert not one.outlook.has_news
    assert two.outlook.hear(news) == ()


def test_failures_that_change_nothing_are_ones_own():
    one = Process()
    one.fails(4, 100.0)
    assert not one.outlook.has_news
    one.fails(1, 100.0)
    assert one.outlook.has_news


def test_counting_goes_on_when_others_say_what_is_known():
    one, two = Process(), Process()
    one.fails(3, 100.0)
    two.vitals().learn(Signal.RATE_LIMITED, 101.0, HEALTH, "ordinary", retry_after_s=2.0)
    one.outlook.hear(two.outlook.found_out(101.0))

    assert one.vitals().health.in_a_row == 3
    assert one.vitals().open_at == 103.0


def test_the_later_word_is_right_whoever_says_it():
    one, two = Process(), Process()
    one.fails(5, 100.0)
    two.fails(5, 100.5)
    first, second = one.outlook.found_out(100.1), two.outlook.found_out(100.6)
    one.outlook.hear(second)
    assert two.outlook.hear(first) == ()

    assert one.vitals().health.until == two.vitals().health.until == 110.5


def test_a_probe_anywhere_keeps_others_from_probing_and_its_answer_opens_for_all():
    one, two = Process(), Process()
    one.fails(5, 100.0)
    two.outlook.hear(one.outlook.found_out(100.0))
    lease = object()
    assert one.vitals().take(lease, 1, 110.0) == "probe"
    two.outlook.hear(one.outlook.found_out(110.0))
    assert two.vitals().take(object(), 1, 110.1) == "desperate"

    one.vitals().learn(Signal.ANSWERED, 110.2, HEALTH, "probe")
    two.outlook.hear(one.outlook.found_out(110.2))
    assert two.vitals().state() is EndpointState.HEALTHY
    assert two.vitals().open_at <= 110.2
    assert two.vitals().warm_from == 110.2  # and slowly


def test_draining_is_for_all_and_so_is_its_end():
    house, worker = Process(), Process()
    house.fleet.pools["small"].drain("small/1")
    worker.outlook.hear(house.outlook.found_out(100.0))
    assert worker.vitals(1).state() is EndpointState.DRAINING

    house.fleet.pools["small"].drain("small/1", on=False)
    worker.outlook.hear(house.outlook.found_out(101.0))
    assert worker.vitals(1).state() is EndpointState.HEALTHY


def test_who_has_just_come_hears_all_that_was_said():
    house, late = Process(), Process()
    house.fails(5, 100.0)
    house.outlook.found_out(100.0)
    assert [news.endpoint for news in house.outlook.whole()] == ["small/0"]
    late.outlook.hear(house.outlook.whole())

    assert late.vitals().state() is EndpointState.EJECTED
    assert late.outlook.found_out(101.0) == ()


def test_endpoints_of_another_configuration_are_strangers():
    one, two = Process(), Process()
    one.fails(5, 100.0)
    stranger = msgspec.structs.replace(one.outlook.found_out(100.0)[0], endpoint="gone/7")
    assert two.outlook.hear([stranger]) == ()


def test_what_was_known_before_a_reload_is_said_to_who_comes_after_it():
    house, late = Process(), Process()
    house.fails(5, 100.0)
    after = Outlook(house.fleet)
    assert after.found_out(101.0) == ()
    late.outlook.hear(after.whole())

    assert late.vitals().state() is EndpointState.EJECTED
