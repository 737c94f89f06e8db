"""Error rates, weights and thresholds from own answers."""

import pytest

np = pytest.importorskip("numpy")

from pointsman.cascade.verifiers.logprobs import LogprobsVerifier  # noqa: E402
from pointsman.core.answer import Answer, Choice, Token  # noqa: E402
from pointsman.core.verdict import Rates  # noqa: E402
from pointsman.core.verifying import Logprobs  # noqa: E402
from pointsman.learn.reliance import (  # noqa: E402
    auroc,
    rates_beyond,
    rates_of,
    reliance,
    scores_left_out,
    scores_of,
    threshold_of,
    weights_of,
)
from pointsman.testing.factories import a_request  # noqa: E402


def answers(rows=400, error=0.1, seed=0):
    draw = np.random.default_rng(seed)
    quality = (draw.random(rows) < 0.6).astype(float)
    return np.where((quality > 0) != (draw.random(rows) < error), 0.9, 0.1), quality


def figures(rows=400, seed=0):
    """Good answers are surer."""
    draw = np.random.default_rng(seed)
    quality = (draw.random(rows) < 0.7).astype(float)
    return [{"mean": float(-1 + one + draw.normal(0, 0.5)), "min": float(draw.normal(-3, 1))} for one in quality], quality


def test_error_rates_are_measured():
    rates = rates_of(*answers())

    assert 0.05 < rates.misses < 0.15
    assert 0.05 < rates.false_alarms < 0.15


def test_a_short_list_without_errors_does_not_claim_that_there_are_none():
    said = np.repeat([0.9, 0.1], 20)

    assert rates_of(said, np.repeat([1.0, 0.0], 20)) == Rates(1 / 22, 1 / 22)


def test_too_few_answers_of_a_kind_tell_nothing():
    assert rates_of(np.full(100, 0.9), np.ones(100)) is None
    assert reliance("small", "", np.full(100, 0.9), np.ones(100)).misses is None


def test_abstentions_do_not_count():
    score, quality = answers()
    score[::2] = np.nan

    assert reliance("small", "", score, quality).abstains == 0.5
    assert rates_of(score, quality) == rates_of(score[1::2], quality[1::2])


def test_a_coin_is_not_useful_a_good_verifier_is():
    assert not reliance("small", "", *answers(error=0.5)).is_useful
    assert reliance("small", "", *answers(error=0.1)).is_useful


def test_auroc_counts_ties_half():
    assert auroc(np.array([0.1, 0.9]), np.array([0.0, 1.0])) == 1.0
    assert auroc(np.array([0.5, 0.5]), np.array([0.0, 1.0])) == 0.5
    assert auroc(np.array([0.5, 0.5]), np.array([1.0, 1.0])) is None


def test_the_threshold_is_where_climbing_stops_to_pay():
    score = np.linspace(0, 1, 101)
    quality = score.copy()  # a calibrated score
    higher = np.full(101, 0.9)

    assert threshold_of(score, quality, higher, gap=0.2) == pytest.approx(0.7, abs=0.011)
    assert threshold_of(score, quality, higher, gap=1.0) == 0.0
    assert threshold_of(score, np.zeros(101), higher, gap=0.1) > 1


def test_weights_give_good_answers_the_higher_scores():
    features, quality = figures()
    weights = weights_of(features, quality, ("mean", "min"))

    assert weights["mean"] > 0
    assert auroc(scores_of(weights, features), quality) > 0.8


def test_scores_are_for_even_odds_however_many_answers_are_good():
    features, quality = figures(2000)
    said = scores_of(weights_of(features, quality, ("mean", "min")), features)

    assert (said[quality > 0].mean() + said[quality == 0].mean()) / 2 == pytest.approx(0.5, abs=0.03)


def test_an_answer_is_judged_by_weights_that_had_not_seen_it():
    features, quality = figures(200)
    noise = np.random.default_rng(9).permutation(quality)
    said = scores_left_out(features, noise, np.arange(200), ("mean", "min"))

    assert 0.3 < auroc(said, noise) < 0.65, "nothing can be learned from noise"


def test_the_verifier_says_what_the_weights_say():
    features, quality = figures()
    weights = weights_of(features, quality, ("mean", "min"))
    tokens = tuple(Token("x", one) for one in (-0.2, -1.4, -0.3))
    verdict = LogprobsVerifier(Logprobs(weights=weights)).verify(a_request(), Answer((Choice("xxx", tokens=tokens),)))

    assert verdict.score == pytest.approx(float(scores_of(weights, [verdict.features])[0]))


def test_a_missing_figure_is_an_abstention():
    assert np.isnan(scores_of({"bias": 0.0, "mean": 1.0}, [{"min": -1.0}])[0])


def test_a_verifier_that_repeats_what_the_router_knows_is_a_coin():
    draw = np.random.default_rng(1)
    p = draw.choice([0.2, 0.8], 2000)
    quality = (draw.random(2000) < p).astype(float)
    echo = np.where(p > 0.5, 0.9, 0.1)

    assert rates_of(echo, quality).misses < 0.3
    assert rates_beyond(echo, quality, p).misses > 0.4


def test_one_that_knows_more_is_believed_as_far_as_it_goes():
    score, quality = answers(2000, error=0.1)
    rates = rates_beyond(score, quality, np.full(2000, 0.6))

    assert (rates.misses, rates.false_alarms) == (pytest.approx(0.1, abs=0.03), pytest.approx(0.1, abs=0.03))


def test_weights_beyond_the_router_leave_out_what_it_knew():
    draw = np.random.default_rng(2)
    p = draw.choice([0.2, 0.8], 1000)
    quality = (draw.random(1000) < p).astype(float)
    features = [{"mean": float(one + draw.normal(0, 0.05))} for one in p]

    assert weights_of(features, quality, ("mean",))["mean"] > 2
    assert abs(weights_of(features, quality, ("mean",), p)["mean"]) < 0.7
