"""Turns under way stay where they began, and nothing of them is kept but hashes."""

import msgspec
import pytest

from pointsman.classify.decider import build_decider
from pointsman.classify.session import Sessions, in_flight, kept, keys_of
from pointsman.core.fleet import Capabilities
from pointsman.core.request import Caller, Message, Needs
from pointsman.core.settings import RouteSettings, TierSettings
from pointsman.testing.factories import a_pool, a_request, a_settings

ASKED = (Message("system", "You are an agent."), Message("user", "Rename x to count."))
CALLED = (*ASKED, Message("assistant", ""), Message("tool", "1\tx = 1"))
REMINDED = (*CALLED, Message("user", "<system-reminder>Stay on task.</system-reminder>"))
AGAIN = (*CALLED, Message("assistant", "Done."), Message("user", "Now undo it."))


def request(messages, **fields):
    return a_request(messages=messages, tools=1, **fields)


def remembered(*, tier="large", rung=2, now=0.0, asked=ASKED, **fields):
    sessions = Sessions()
    sessions.remember(request(asked, **fields), "auto", tier, f"{tier}-pool", rung, now)
    return sessions


def test_a_tools_result_goes_on_where_the_turn_began():
    pin = remembered().recall(request(CALLED), "auto", 1.0)

    assert (pin.tier, pin.pool, pin.rung) == ("large", "large-pool", 2)


@pytest.mark.parametrize(("messages", "is_on"), [
    (ASKED, False), (CALLED, True), (REMINDED, True), (AGAIN, False), ((*CALLED, Message("user", "Stop.")), False),
    ((*CALLED, Message("assistant", "I will")), False), ((), False), ((*ASKED, Message("function", "7")), True),
    ((*CALLED, Message("system", "Be brief.")), True),
])
def test_a_turn_is_under_way_until_a_user_or_the_model_speaks(messages, is_on):
    assert in_flight(messages) is is_on


def test_reminders_behind_a_result_do_not_hide_the_turn():
    assert remembered().recall(request(REMINDED), "auto", 1.0).tier == "large"


def test_the_next_words_of_the_user_begin_a_turn_of_their_own():
    later = (*AGAIN, Message("assistant", ""), Message("tool", "done"))

    assert remembered().recall(request(later), "auto", 1.0) is None


@pytest.mark.parametrize("other", [
    {"caller": Caller("other")}, {"caller": Caller(tenant="other")}, {"session": "another"},
])
def test_callers_and_sessions_do_not_share_turns(other):
    assert remembered().recall(request(CALLED, **other), "auto", 1.0) is None
    assert remembered().recall(request(CALLED), "other-route", 1.0) is None


def test_a_named_session_finds_its_turn_although_the_words_were_rewritten():
    rewritten = (Message("user", "Rename x to count. (sent at 12:01)"), *CALLED[2:])

    assert remembered(session="s-1").recall(request(rewritten, session="s-1"), "auto", 1.0).tier == "large"
    assert remembered().recall(request(rewritten), "auto", 1.0) is None


def test_two_turns_of_one_session_at_once_are_told_apart():
    sessions = remembered(session="s-1")
    sessions.remember(request((Message("user", "Name this chat."),), session="s-1"), "auto", "small", "small-pool", 1, 0.5)

    assert sessions.recall(request(CALLED, session="s-1"), "auto", 1.0).tier == "large"


def test_a_pin_moves_up_and_never_down():
    sessions = remembered(tier="medium", rung=2)
    sessions.remember(request(CALLED), "auto", "small", "small-pool", 1, 1.0)
    assert sessions.recall(request(CALLED), "auto", 2.0).tier == "medium"

    sessions.remember(request(CALLED), "auto", "large", "large-pool", 3, 2.0)
    assert sessions.recall(request(CALLED), "auto", 3.0).tier == "large"


def test_asking_the_same_again_begins_anew():
    sessions = remembered(tier="large", rung=3)
    sessions.remember(request(ASKED), "auto", "small", "small-pool", 1, 1.0)

    assert sessions.recall(request(CALLED), "auto", 2.0).tier == "small"


def test_turns_are_forgotten_in_time_and_the_oldest_first():
    sessions = Sessions(size=2, ttl_s=10.0)
    for word in ("one", "two", "three"):
        sessions.remember(request((Message("user", word),)), "auto", word, "", 1, 0.0)
    told = [sessions.recall(request((Message("user", word), *CALLED[2:])), "auto", 5.0) for word in ("one", "two", "three")]

    assert [pin and pin.tier for pin in told] == [None, "two", "three"]
    assert sessions.recall(request((Message("user", "three"), *CALLED[2:])), "auto", 10.0) is None
    assert len(sessions) == 2
    assert repr(sessions) == "<Sessions [2 of 2]>"


def test_only_hashes_are_kept():
    (key, session) = keys_of(request(ASKED, session="s-1"), "auto")

    assert len(key) == len(session) == 16
    assert key != session


# -- the decision


def settings(**small):
    return a_settings(a_pool("small", capabilities=Capabilities(**small)), a_pool("large"),
                      route=RouteSettings("auto", ladder=("small", "large"), default_tier="large", pipeline=("pinned:large",)))


def decided(pin_tier, rung, made, messages=CALLED, **fields):
    asked = request(messages, **fields)
    sessions = remembered(tier=pin_tier, rung=rung)
    decision = build_decider(made, "auto", lambda: 0.0).decide(asked)
    return kept(sessions.recall(asked, "auto", 1.0), decision, made, asked)


def test_the_decision_says_that_the_turn_goes_on_and_what_would_have_been():
    decision = decided("small", 1, settings())

    assert (decision.tier, decision.rung, decision.decided_by, decision.pool) == ("small", 1, "session", None)
    assert decision.reason == "a tool's result: the turn goes on where it began, on small; pinned:large said large"
    assert [view.outcome for view in decision.stages] == ["decided"]


def test_a_tier_that_has_become_too_small_hands_over_upwards():
    needs = Needs(context=100, tools=True)

    assert decided("small", 1, settings(context=50), needs=needs).tier == "large"
    assert decided("small", 1, settings(context=500), needs=needs).tier == "small"


def test_a_tier_that_is_gone_leaves_the_decision_as_it_is():
    decision = decided("gone", 1, settings())

    assert decision.tier == "large"
    assert decision.decided_by == "session"
    assert decided("gone", 0, settings()).decided_by == "pinned:large"


def test_of_several_pools_the_one_that_called_the_tool_comes_first():
    made = settings()
    pools = made.pools | {"large-pool": msgspec.structs.replace(made.pools["large"], name="large-pool")}
    both = msgspec.structs.replace(made, pools=pools, tiers=made.tiers | {"large": TierSettings("large", ("large", "large-pool"))})

    assert decided("large", 2, both).pool == "large-pool"
