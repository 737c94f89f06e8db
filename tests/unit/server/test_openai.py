"""Headers and events as they leave."""

import json

import pytest

from pointsman.gateway.port import Facts
from pointsman.server.openai import dollars, fact_headers, safe, with_cost


@pytest.mark.parametrize(("nano", "text"), [(0, b"0.000000000"), (1, b"0.000000001"), (24_000, b"0.000024000"),
                                            (2_500_000_000, b"2.500000000")])
def test_dollars_are_exact_decimals(nano, text):
    assert dollars(nano) == text


@pytest.mark.parametrize("text", ["a\r\nx-evil: 1", "a\x00b", "naïve → 日本", "x" * 10_000])
def test_a_header_value_is_printable_ascii_and_short(text):
    value = safe(text)

    assert len(value) <= 300
    assert all(0x20 <= byte < 0x7F for byte in value)


def test_an_unknown_cost_is_never_zero():
    headers = dict(fact_headers(Facts("r", "r", tier="small", rung=1, cost_nano_usd=None)))

    assert headers[b"x-route-cost-usd"] == b"unknown"


def test_the_rung_is_a_number_and_the_name_beside_it():
    headers = dict(fact_headers(Facts("r", "mine", tier="large", rung=3, model="m", reason="why", attempts=2, cost_nano_usd=5)))

    assert headers[b"x-route-tier"] == b"3"
    assert headers[b"x-route-tier-name"] == b"large"
    assert headers[b"x-request-id"] == b"mine"
    assert headers[b"x-route-attempts"] == b"2"


@pytest.mark.parametrize("event", [b'{"choices":[],"usage":{"prompt_tokens":1}}', b'{"usage": { } ,"choices":[]}'])
def test_the_usage_event_learns_the_cost(event):
    assert json.loads(with_cost(event, 1500))["usage"]["cost_usd"] == 0.0000015


@pytest.mark.parametrize("event", [b'{"choices":[{"delta":{"content":"usage"}}]}', b'{"usage":null}', b'{"a":"\\"usage\\""}'])
def test_other_events_stay_as_they_are(event):
    assert with_cost(event, 1500) == event
