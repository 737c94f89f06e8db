"""What lies between two configurations, in words."""

import json

import pytest

from pointsman.config.difference import NEEDS_RESTART, differences, plain
from pointsman.config.load import load_text

ENVIRON = {"A_KEY": "key-a", "B_KEY": "key-b"}
TEXT = """
admin: {{token: "${{A_KEY}}"}}
auth: {{keys: [{{name: app, key: "${{A_KEY}}"}}]}}
tiers:
  small:
    model: qwen-7b
    sla: {{ttft_p95_max: 500ms}}
    endpoints:
      - {{url: "http://10.0.0.1/v1", slots: {slots}, api_key: "${{{key}}}"}}
      {endpoints}
  large: {{pools: [llama]}}
pools:
  llama: {{model: llama-70b, endpoints: [{{url: "http://10.0.0.9/v1", usd_per_million: {{input: 1, output: {price}}}}}]}}
routes:
  auto:
    quality: {quality}
    rules: [{rules}]
"""
USUAL = {"slots": 256, "key": "A_KEY", "endpoints": "", "price": 2, "quality": 0.8, "rules": ""}
FIRST = '{name: legal, when: {keywords: [contract]}, tier: large}'
SECOND = '{name: hello, when: {max_chars: 5}, tier: small}'


def said(old, new, text=TEXT):
    sides = (plain(load_text(text.format(**USUAL | side), "x", ENVIRON)) for side in (old, new))
    return [str(one) for one in differences(*sides)]


@pytest.mark.parametrize(("old", "new", "expected"), [
    ({}, {}, []),
    ({}, {"slots": 128}, ["tiers.small.endpoints[0].slots: 256 -> 128"]),
    ({}, {"key": "B_KEY"}, ["tiers.small.endpoints[0].api_key: the secret has changed"]),
    ({}, {"price": 3}, ["pools.llama.endpoints[0].usd_per_million.output: 2.0 -> 3.0"]),
    ({}, {"quality": 0.9}, ["routes.auto.quality: 0.8 -> 0.9"]),
    ({}, {"endpoints": '- {url: "http://10.0.0.2/v1"}'}, ["tiers.small.endpoints[1]: added (url http://10.0.0.2/v1)"]),
    ({"endpoints": '- {url: "http://10.0.0.2/v1"}'}, {}, ["tiers.small.endpoints[1]: removed (url http://10.0.0.2/v1)"]),
    ({"rules": FIRST}, {"rules": f"{SECOND}, {FIRST}"}, ["routes.auto.rules[0]: added (name hello)"]),
    ({"rules": f"{FIRST}, {SECOND}"}, {"rules": SECOND}, ["routes.auto.rules[0]: removed (name legal)"]),
    ({"rules": FIRST}, {"rules": FIRST.replace("contract", "lease")}, ["routes.auto.rules[0].when.keywords: [contract] -> [lease]"]),
])
def test_a_change_is_one_sentence(old, new, expected):
    assert said(old, new) == expected


def test_rules_that_change_places_are_told_since_the_first_that_holds_wins():
    found = said({"rules": f"{FIRST}, {SECOND}"}, {"rules": f"{SECOND}, {FIRST}"})

    assert found == ["routes.auto.rules[0]: moved, was [1]", "routes.auto.rules[1]: moved, was [0]"]


def test_an_endpoint_that_moves_to_another_address_has_changed():
    assert said({}, {}, TEXT.replace("10.0.0.1", "10.0.0.1")) == []
    old, new = (plain(load_text(TEXT.format(**USUAL).replace("10.0.0.1", host), "x", ENVIRON)) for host in ("10.0.0.1", "10.0.0.7"))

    assert [str(one) for one in differences(old, new)] == ["tiers.small.endpoints[0].url: http://10.0.0.1/v1 -> http://10.0.0.7/v1"]


def test_a_default_that_is_written_out_is_no_difference():
    old = load_text("tiers: {a: {model: m, endpoints: [{url: 'http://h/v1'}]}}", "x", {})
    new = load_text("{server: {port: 4000, max_body: 32MiB}, tiers: {a: {model: m, endpoints: [{url: 'http://h/v1', engine: openai}]}}, "
                    "routes: {auto: {ladder: [a], default_tier: a, deadline: 10m}}}", "x", {})

    assert differences(plain(old), plain(new)) == ()


def test_tiers_and_routes_come_and_go():
    one = "tiers: {a: {model: m, endpoints: [{url: 'http://h/v1'}]}}"
    two = "tiers: {a: {model: m, endpoints: [{url: 'http://h/v1'}]}, b: {model: n, endpoints: [{url: 'http://i/v1'}]}}"
    old, new = plain(load_text(one, "x", {})), plain(load_text(two, "x", {}))

    assert [str(d) for d in differences(old, new)] == [
        "tiers.b: added (model n)", "routes.auto.ladder: [a] -> [a, b]", "routes.auto.default_tier: a -> b"]
    assert "tiers.b: removed (model n)" in [str(d) for d in differences(new, old)]


@pytest.mark.parametrize(("section", "place"), [
    ("server: {port: 5000}", "server.port"), ("server: {host: 127.0.0.2}", "server.host"),
    ("server: {huge_pages: off}", "server.huge_pages"), ("admin: {port: 5001}", "admin.port"),
    ("records: {path: other/records.db}", "records.path"), ("records: {flush: disk}", "records.flush"), ('admin: {token: "${B_KEY}"}', "admin.token"),
])
def test_what_a_reload_cannot_change_says_so(section, place):
    base = "tiers: {a: {model: m, endpoints: [{url: 'http://h/v1'}]}}\n"
    (found,) = differences(plain(load_text(base, "x", ENVIRON)), plain(load_text(base + section, "x", ENVIRON)))

    assert found.path == place
    assert found.needs_restart
    assert str(found).endswith("(needs restart)")
    assert any(place == name or place.startswith(f"{name}.") for name in NEEDS_RESTART)


def test_no_secret_is_in_it_and_it_survives_json():
    settings = plain(load_text(TEXT.format(**USUAL), "x", ENVIRON))
    text = json.dumps(settings)

    assert "key-a" not in text
    assert json.loads(text) == settings
    assert differences(json.loads(text), settings) == ()


def test_a_secret_that_comes_or_goes_is_told_without_it():
    base = "tiers: {a: {model: m, endpoints: [{url: 'http://h/v1'KEY}]}}"
    old, new = (plain(load_text(base.replace("KEY", key), "x", ENVIRON)) for key in ("", ", api_key: '${A_KEY}'"))

    assert [str(one) for one in differences(old, new)] == ["tiers.a.endpoints[0].api_key: absent -> a secret"]


def test_the_key_of_notices_changes_with_a_reload():
    assert not any("admin.notice_key".startswith(name) for name in NEEDS_RESTART)
    assert "admin.token" in NEEDS_RESTART
