"""A decision in words."""

import pytest

from pointsman.classify.decider import Decider
from pointsman.classify.words import words
from pointsman.core.fleet import Capabilities
from pointsman.core.request import Needs
from pointsman.core.settings import Condition, RouteSettings, Rule
from pointsman.testing.factories import a_pool, a_request, a_settings


@pytest.fixture
def decider():
    rule = Rule("orders", Condition(regex="order"), tier="small", reason="order lookup", system="Look it up.")
    route = RouteSettings("auto", ladder=("small", "large"), default_tier="large", rules=(rule,))
    settings = a_settings(a_pool("small", capabilities=Capabilities(tools=False)), a_pool("large"), route=route)
    return Decider(route, settings, lambda: 0.0)


def test_every_stage_score_and_gate_is_told(decider):
    text = words(decider.decide(a_request("thanks")), decider.prices, 0.8)

    assert text.startswith("auto -> small (rung 1), decided by policy")
    for part in ("rules", "abstained", "heuristic", "refined", "looks easy", "not on your traffic", "target 0.8", "█",
                 "<- chosen", "per 1,000 typical requests", "decided in 0 us"):
        assert part in text, part


def test_a_rule_is_told_with_its_target_and_system_prompt(decider):
    text = words(decider.decide(a_request("my order")))

    for part in ("decided by rules", "order lookup -> tier small", "adds a system prompt: Look it up.", "skipped"):
        assert part in text, part
    assert "$" not in text


def test_what_does_not_fit_is_told(decider):
    text = words(decider.decide(a_request("hi", needs=Needs(tools=True), tools=1)))

    assert "small  does not fit  (no tools)" in text
