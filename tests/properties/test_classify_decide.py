"""Whatever the text: scores are monotone, deciding never fails, and the same request is decided the same way."""

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pointsman.classify.decider import Decider
from pointsman.classify.features import NAMES, read
from pointsman.classify.heuristic import Heuristic
from pointsman.classify.published import published_tier
from pointsman.classify.subject import CLASSIFIER_BYTES, own_words, subject
from pointsman.core.fleet import Capabilities
from pointsman.core.request import Message, Needs
from pointsman.core.settings import Condition, RouteSettings, Rule
from pointsman.errors import NothingFits
from pointsman.testing.factories import a_pool, a_request, a_settings

PIECES = st.sampled_from([
    "<system-reminder>", "</system-reminder>", "<user_query>", "</user_query>", "<", ">", "```", "def f():", "prove that",
    "证明", "?", "\n", "😀", "import duty", "A) ", "$$", "step by step", "x" * 9000, "中" * 9000, "\x00",
])
TEXT = st.one_of(st.text(), st.text(alphabet=st.characters()), st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=30).map("".join))
MESSAGES = st.lists(st.builds(Message, st.sampled_from(["system", "user", "assistant", "tool", "stranger"]), TEXT), max_size=6)
FLAG = st.one_of(st.none(), st.booleans())
CAPABILITIES = st.builds(Capabilities, context=st.one_of(st.none(), st.integers(0, 100_000)), tools=FLAG, json_schema=FLAG, vision=FLAG, logprobs=FLAG)
NEEDS = st.builds(Needs, context=st.integers(0, 200_000), tools=st.booleans(), json_schema=st.booleans(), vision=st.booleans(),
                  logprobs=st.booleans())
RULES = (Rule("order", Condition(regex=r"\d{6}", not_=Condition(text="never")), tier="t0"),
         Rule("long", Condition(min_chars=5000, keywords=("证明", "import")), tier="t1", system="x"))


def a_request_of(messages, **overrides):
    """Without a body: lone surrogates cannot be written as JSON, and deciding must bear them all the same."""
    return msgspec.structs.replace(a_request("x", **overrides), messages=tuple(messages))


@given(TEXT, st.integers(1, 6))
@example("\ud800", 3)
def test_scores_are_monotone_for_any_text(text, rungs):
    said = Heuristic([f"t{i}" for i in range(rungs)]).classify(a_request_of([Message("user", text)]), None)
    if said is not None:
        p = [score.p for score in said.scores.by_tier.values()]
        assert p == sorted(p)
        assert all(0 < value < 1 for value in p)


@given(MESSAGES, NEEDS, st.lists(CAPABILITIES, min_size=1, max_size=4), st.sampled_from([("rules", "heuristic"), ("published",), ("random:0.3",), ()]))
@settings(deadline=None)
def test_deciding_gives_a_fitting_tier_or_nothing_fits(messages, needs, capabilities, pipeline):
    pools = [a_pool(f"t{i}", capabilities=c) for i, c in enumerate(capabilities)]
    route = RouteSettings("auto", ladder=tuple(p.name for p in pools), default_tier="t0", pipeline=pipeline, rules=RULES)
    decider = Decider(route, a_settings(*pools, route=route), lambda: 0.0)
    request = a_request_of(messages, needs=needs)
    try:
        decision = decider.decide(request)
    except NothingFits:
        # A pool may be fit although the rule's own target is unknown; but nothing on the ladder is.
        return
    assert all(view.outcome != "failed" for view in decision.stages)
    assert next(view for view in decision.gate if view.tier == decision.tier).fits
    assert decision == decider.decide(request)
    assert msgspec.json.encode(decision)


@given(MESSAGES)
@settings(deadline=None)
def test_features_stay_in_their_range(messages):
    seen = read(a_request_of(messages))

    assert set(seen.values) <= set(NAMES)
    assert all(0 < value <= 1 for value in seen.values.values())
    assert seen.tokens >= 0


@given(TEXT)
@settings(deadline=None)
def test_the_subject_is_bounded_and_utf8(text):
    about = subject(a_request_of([Message("user", text)]))

    assert len(about.data) <= 2 * CLASSIFIER_BYTES + 1
    assert about.data.decode("utf-8").encode() == about.data
    assert about.chars >= 0


@given(TEXT, TEXT)
@settings(deadline=None)
def test_text_between_reminder_tags_never_shows(inside, after):
    clean = inside.replace("<", "").replace(">", "") + "SECRETWORD"

    assert "SECRETWORD" not in own_words(f"<system-reminder>{clean}</system-reminder>{after.replace('SECRETWORD', '')}")[0]


@given(MESSAGES)
def test_the_published_heuristic_always_has_an_answer(messages):
    assert published_tier(a_request_of(messages))[0] in (1, 2, 3)
