"""Where a conversation is at home."""

import msgspec
import pytest

from pointsman.classify.conversation import Conversations
from pointsman.core.request import Caller, Message
from pointsman.testing.factories import a_request

FIRST = (Message("user", "Hello"),)
SECOND = (*FIRST, Message("assistant", "Hi!"), Message("user", "Prove it."))
THIRD = (*SECOND, Message("assistant", "QED"), Message("user", "Thanks"))


def request(messages, **fields):
    return a_request(messages=messages, **fields)


def homes(messages=FIRST, **fields):
    found = Conversations()
    found.remember(request(messages, **fields), "auto", "large", "large-pool", 2, 0.0)
    return found


def test_the_next_turn_finds_where_the_one_before_was_answered():
    assert homes().recall(request(SECOND), "auto", 1.0).tier == "large"
    assert homes(SECOND).recall(request(THIRD), "auto", 1.0).rung == 2


@pytest.mark.parametrize("messages", [FIRST, THIRD, (Message("user", "Bye"), *SECOND[1:])])
def test_another_conversation_or_another_place_in_it_does_not(messages):
    assert homes().recall(request(messages), "auto", 1.0) is None


def test_two_conversations_that_begin_alike_part_where_they_part():
    other = (*FIRST, Message("assistant", "Hi!"), Message("user", "Bake it."))
    found = homes(SECOND)
    found.remember(request(other), "auto", "small", "small-pool", 1, 0.0)

    assert found.recall(request(THIRD), "auto", 1.0).tier == "large"


def test_a_named_session_is_known_by_its_name_and_its_beginning():
    found = homes(session="s-1")
    rewritten = (*FIRST, Message("assistant", "(summary)"), Message("user", "x"), Message("user", "y"))

    assert found.recall(request(rewritten, session="s-1"), "auto", 1.0).tier == "large"
    assert found.recall(request(rewritten, session="s-2"), "auto", 1.0) is None
    assert found.recall(request((Message("user", "Give this chat a title."),), session="s-1"), "auto", 1.0) is None


def test_callers_and_routes_do_not_share_conversations():
    assert homes().recall(request(SECOND, caller=Caller("other")), "auto", 1.0) is None
    assert homes().recall(request(SECOND, caller=Caller(tenant="other")), "auto", 1.0) is None
    assert homes().recall(request(SECOND), "other", 1.0) is None


def test_it_is_forgotten_after_a_while_and_the_oldest_first():
    found = Conversations(size=2, ttl_s=10.0)
    for word in ("one", "two", "three"):
        found.remember(request((Message("user", word),)), "auto", word, "", 1, 0.0)

    def told(word, now):
        pin = found.recall(request((Message("user", word), Message("user", "and?"))), "auto", now)
        return pin and pin.tier

    assert [told(word, 5.0) for word in ("one", "two", "three")] == [None, "two", "three"]
    assert told("three", 10.0) is None
    assert (len(found), repr(found)) == (2, "<Conversations [2 of 2]>")


def test_a_request_without_a_user_has_no_home():
    found = homes((Message("system", "x"),))

    assert len(found) == 0
    assert found.recall(request((Message("system", "x"),)), "auto", 1.0) is None


def test_lone_surrogates_and_megabytes_are_fine():
    found = Conversations()
    odd = (Message("user", "\ud800" + "x" * 1_000_000),)
    bare = a_request("x")

    found.remember(msgspec.structs.replace(bare, messages=odd), "auto", "small", "", 1, 0.0)
    assert found.recall(msgspec.structs.replace(bare, messages=(*odd, Message("user", "?"))), "auto", 1.0).tier == "small"
