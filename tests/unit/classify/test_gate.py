"""Which tiers could serve a request at all."""

import pytest

from pointsman.classify.gate import Memory, check, lacks
from pointsman.core.fleet import Capabilities
from pointsman.core.request import Needs
from pointsman.core.settings import TierSettings
from pointsman.testing.factories import a_pool, an_endpoint

ALL = Capabilities(context=8192, tools=True, json_schema=True, vision=True, logprobs=True)
NONE = Capabilities(context=8192, tools=False, json_schema=False, vision=False, logprobs=False)


def gate(needs, *pools, allowed=None):
    return check(needs, TierSettings("t", tuple(p.name for p in pools)), {p.name: p for p in pools}, allowed)


def test_a_capable_tier_fits():
    view = gate(Needs(context=8192, tools=True, json_schema=True, vision=True, logprobs=True), a_pool(capabilities=ALL))

    assert (view.fits, view.reason, view.unknown) == (True, "fits", ())


def test_each_lack_is_named():
    view = gate(Needs(context=9000, tools=True, json_schema=True, vision=True, logprobs=True), a_pool(capabilities=NONE))

    assert not view.fits
    for word in ("8,192", "9,000", "no tools", "no JSON schema", "no vision", "no logprobs"):
        assert word in view.reason


def test_what_is_not_needed_is_not_asked_for():
    assert gate(Needs(context=10), a_pool(capabilities=NONE)).fits


def test_undeclared_capabilities_fit_and_are_listed():
    view = gate(Needs(context=10, vision=True), a_pool())

    assert view.fits
    assert view.unknown == ("context", "vision")


def test_a_tier_fits_if_any_of_its_pools_does():
    assert gate(Needs(tools=True), a_pool("blunt", capabilities=NONE), a_pool("able", capabilities=ALL)).fits


def test_a_tier_of_unfit_pools_names_each():
    view = gate(Needs(tools=True), a_pool("a", capabilities=NONE), a_pool("b", capabilities=NONE))

    assert view.reason == "a: no tools; b: no tools"


def test_only_allowed_pools_count():
    assert not gate(Needs(), a_pool("a"), allowed=("b",)).fits
    assert gate(Needs(), a_pool("a"), allowed=("a",)).fits


def test_a_pool_of_embeddings_serves_no_chat():
    assert lacks(Needs(), a_pool(embeddings=True)) == ("it serves embeddings only",)


def test_what_only_an_apis_maker_can_do_needs_its_endpoint():
    origin = a_pool("origin", endpoints=(an_endpoint("origin/0", dialects=("messages",), is_origin=True),))
    engine = a_pool("engine", endpoints=(an_endpoint("engine/0", dialects=("chat", "messages")),))

    assert lacks(Needs(dialect="messages"), origin) == ()
    assert "not the maker of the messages API" in lacks(Needs(dialect="messages"), engine)[0]
    assert lacks(Needs(dialect="responses"), origin)
    assert lacks(Needs(), engine) == ()


def test_an_answer_is_remembered_while_no_context_comes_into_it():
    asked = []

    def ask(needs, allowed):
        asked.append((needs, allowed))
        return needs.context

    memory = Memory([a_pool("a", capabilities=Capabilities(context=1000)), a_pool("b")], ask)

    assert [memory(Needs(context=size), None) for size in (10, 500, 1000)] == [10, 10, 10]
    assert memory(Needs(context=10, tools=True), None) == 10
    assert memory(Needs(context=10), frozenset(("a",))) == 10
    assert len(asked) == 3
    assert [memory(Needs(context=size), None) for size in (1001, 1002)] == [1001, 1002]


@pytest.mark.parametrize("need", [name for name in Needs.__struct_fields__ if name != "context"])
def test_whoever_needs_more_than_room_is_not_answered_as_those_who_do_not(need):
    memory = Memory((a_pool(capabilities=ALL),), lambda needs, allowed: needs)
    memory(Needs(context=5), None)
    asking = Needs(context=5, **{need: "messages" if need == "dialect" else True})

    assert memory(asking, None) == asking
    assert memory(Needs(context=7), None) == Needs(context=5)
