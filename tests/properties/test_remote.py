"""Whatever an outside classifier answers: a result of tiers on the ladder, silence, or garbage; never anything else."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pointsman.classify.remote import Garbage, meaning
from pointsman.core.decision import Decide, Refine
from pointsman.core.settings import RemoteSettings

LADDER = ("small", "large")
TIERS = {"small": "small", "large": "large"}
JSON = st.recursive(st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False)
                    | st.sampled_from(["small", "LARGE", "x"]) | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
                        st.sampled_from(["tier", "scores", "confidence", "data", "probs", "label", "score", "small", "large"]) | st.text(max_size=3),
                        inner, max_size=4), max_leaves=12)
ANSWERS = st.binary(max_size=40) | JSON.map(msgspec.json.encode)


@given(answer=ANSWERS, form=st.sampled_from(["pointsman", "vllm", "labels"]))
def test_any_answer_is_understood_or_refused(answer, form):
    try:
        said = meaning(RemoteSettings("http://x", form), LADDER, TIERS, answer)
    except Garbage:
        return
    match said:
        case Decide(target=target):
            assert target.name in LADDER
        case Refine(scores=scores):
            assert scores.by_tier.keys() <= set(LADDER)
            assert all(0.0 <= score.p <= 1.0 for score in scores.by_tier.values())
        case _:
            assert said is None
