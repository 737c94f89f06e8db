"""The trained stage: what a scorer predicts, as scores of tiers."""

import numpy as np
import pytest

from pointsman.classify import features
from pointsman.classify.embedding import HEARD, REMEMBERED, Embedding
from pointsman.classify.heads.predicted import Row
from pointsman.classify.heuristic import Heuristic
from pointsman.classify.seen import Seen
from pointsman.core.request import Message
from pointsman.testing.factories import a_request

COLUMNS = {"small": ((0, 1.0),), "middle": ((0, 0.5), (1, 0.5)), "large": ((1, 1.0),)}


class FakeScorer:
    """Says the same of every text, and counts how often it was asked."""

    models = ("a", "b")
    sentence = "minilm"
    kernel = "numpy, because this is a fake"

    def __init__(self, p=(0.6, 0.9), lower=(0.5, 0.85), evidence=12.7, is_foreign=False, tokens=None):
        self.said = Row(p, lower, evidence, is_foreign, tokens)
        self.asked = []

    def text(self, query):
        return query.text

    def row(self, query, sentence_vector=None):
        self.asked.append((query.text, sentence_vector))
        return self.said


def stage(scorer=None, *, is_generic=False, columns=COLUMNS):
    return Embedding(scorer or FakeScorer(), columns, is_generic=is_generic)


def test_every_known_tier_gets_its_columns_score_bound_and_evidence():
    said = stage().classify(a_request("hi"), None)
    scores = said.scores.by_tier

    assert list(scores) == ["small", "middle", "large"]
    assert (scores["small"].p, scores["small"].lower, scores["small"].evidence) == (0.6, 0.5, 12)
    assert (scores["middle"].p, scores["middle"].lower) == (pytest.approx(0.75), pytest.approx(0.675))
    assert said.scores.calibrated
    assert said.reason == "expects small 0.60, middle 0.75, large 0.90, going by about 12 similar labelled prompts"


def test_a_generic_artifact_says_that_it_guesses():
    said = stage(is_generic=True).classify(a_request("hi"), None)

    assert not said.scores.calibrated
    assert said.reason.startswith("a generic guess, not from your traffic: small 0.60")


def test_what_is_unlike_everything_labelled_is_marked():
    said = stage(FakeScorer(is_foreign=True)).classify(a_request("hi"), None)

    assert said.scores.is_foreign
    assert "unlike anything it was trained on" in said.reason


def test_expected_tokens_come_along_where_the_artifact_knows_them():
    assert stage(FakeScorer(tokens=(100.0, 300.0))).classify(a_request("hi"), None).scores.tokens == {
        "small": 100.0, "middle": 200.0, "large": 300.0}
    assert stage().classify(a_request("hi"), None).scores.tokens == {}


def test_nobodys_words_are_nothing_to_score():
    assert stage().classify(a_request(messages=(Message("system", "Be kind."),)), None) is None
    assert stage().query(a_request(messages=(Message("system", "Be kind."),))) is None
    assert stage(columns={}).classify(a_request("hi"), None) is None


def test_words_said_again_are_scored_no_more_unless_something_else_differs():
    scorer = FakeScorer()
    asking = stage(scorer)
    for tools in (0, 0, 0, 0, 3):
        asking.classify(a_request("rename x", tools=tools), None)
    asking.classify(a_request("rename y"), None)

    assert [text for text, _ in scorer.asked] == ["rename x", "rename x", "rename x", "rename y"]


def test_nothing_is_kept_of_words_that_are_said_once():
    asking = stage()
    for number in range(3 * HEARD):
        asking.classify(a_request(f"rename {number}"), None)

    assert asking.kept == 0


def test_what_is_kept_of_words_said_again_is_bounded():
    asking = stage()
    for number in range(3 * REMEMBERED):
        for _ in range(3):
            asking.classify(a_request(f"rename {number}"), None)

    assert 0 < asking.kept <= REMEMBERED


def test_a_sign_in_a_tiers_name_is_no_format():
    said = stage(columns={"50%": ((0, 1.0),), "large": ((1, 1.0),)}).classify(a_request("hi"), None)

    assert said.reason.startswith("expects 50% 0.60, large 0.90")
    assert said.scores.by_tier["50%"].p == 0.6


def test_a_sentence_vector_is_handed_on():
    scorer = FakeScorer()
    asking = stage(scorer)
    said = asking.refined(asking.query(a_request("hi")), np.ones(3, np.float32))

    assert said.scores.by_tier["large"].p == 0.9
    assert scorer.asked[0][1].tolist() == [1, 1, 1]


def test_stages_of_one_pipeline_read_a_request_once(monkeypatch):
    read, times = features.read, []
    monkeypatch.setattr(features, "read", lambda request, about: times.append(1) or read(request, about))
    seen = Seen()
    pipeline = (Heuristic(("small", "large"), seen=seen), Embedding(FakeScorer(), COLUMNS, is_generic=False, seen=seen))
    request = a_request("hi")

    said = [one.classify(request, None) for one in pipeline]

    assert all(said)
    assert len(times) == 1


@pytest.mark.parametrize(("kernel", "is_generic", "asked"), [("compiled (avx2)", True, 3), ("compiled (avx2)", False, 2), ("numpy, because", True, 2)])
def test_what_is_guessed_in_no_time_is_not_kept(kernel, is_generic, asked):
    scorer = FakeScorer()
    scorer.kernel = kernel
    made = stage(scorer, is_generic=is_generic)

    assert made.classify(a_request("hi"), None) == made.classify(a_request("hi"), None) == made.classify(a_request("hi"), None)
    assert len(scorer.asked) == asked
