"""Fitting the generic guess, on sources small enough to see through."""

import numpy as np
import pytest

pytest.importorskip("pyarrow")

from pointsman.artifact import write
from pointsman.classify.heads import signs, surface
from pointsman.classify.heads.ladder import Ladder
from pointsman.classify.heads.query import Query
from pointsman.learn.difficulty import (
    PRIOR,
    QUALITY,
    SHARES,
    Difficulty,
    Source,
    draft,
    presumption,
    quantile,
    queries_of,
    signs_of,
)

EASY = ["where is my order", "hi", "is the pool open", "play some jazz", "my card is lost", "thanks"]
HARD = ["Given 4 apples, 5 pears, and 6 plums, of which 2 are rotten, somebody eats 3 and buys 7, all at $1.20 each. " * (n + 1)
        + "How many are left?" for n in range(6)]
WIDE = signs.NAMES.index("wide")
NOTHING = np.zeros(len(surface.NAMES))


def source(name, prompts, hardness):
    queries = queries_of(prompts)
    return Source(name, signs_of(queries), np.array(hardness, dtype=float), np.full(len(prompts), 1 / len(prompts)), 1, queries)


def fitted(hardness=(0.1,) * 6 + (0.9,) * 6):
    return Difficulty().fit([source("a", [*EASY, *HARD], hardness)], source("traffic", [*EASY, *HARD], (0.05,) * 6 + (0.8,) * 6))


def ladder_of(learned, tmp_path):
    mix = [Query.of_prompt(prompt) for prompt in (*EASY, *HARD)]
    return Ladder.load(write(draft(learned, NOTHING, mix, np.full(len(mix), 1 / len(mix)), {}), tmp_path / "a")), mix


def test_every_weight_of_the_prior_is_one_of_a_sign():
    assert set(PRIOR) <= set(signs.NAMES)


def test_what_small_models_fail_on_gets_harder():
    learned = fitted()
    scores = learned.standard(signs_of(queries_of([*EASY, *HARD]))) @ learned.weights_

    assert scores[6:].min() > scores[:6].max()


def test_labels_move_a_weight_but_do_not_overturn_the_prior():
    with_labels, against = fitted(), fitted((0.9,) * 6 + (0.1,) * 6)
    at = signs.NAMES.index("commas")

    assert with_labels.weights_[at] > against.weights_[at] > 0


def test_how_hard_a_source_is_as_a_whole_says_nothing():
    assert fitted((0.1,) * 6 + (0.3,) * 6).weights_ == pytest.approx(fitted((0.7,) * 6 + (0.9,) * 6).weights_)


def test_a_sign_that_the_data_do_not_hold_has_a_spread_all_the_same():
    assert fitted().spread_[WIDE] == pytest.approx(0.02)
    assert fitted().spread_[signs.NAMES.index("structural.tools")] == pytest.approx(0.25)


def test_the_mix_shares_the_places_as_asked(tmp_path):
    ladder, mix = ladder_of(fitted(), tmp_path)
    first = ladder.score(mix).p[:, 0]

    assert np.mean(first >= QUALITY) == pytest.approx(SHARES[0], abs=0.1)


def test_the_same_data_give_the_same_bytes(tmp_path):
    mix = [Query.of_prompt(prompt) for prompt in EASY + HARD]
    digests = {write(draft(fitted(), NOTHING, mix, np.ones(12), {}), tmp_path / name).digest for name in "ab"}

    assert len(digests) == 1


def test_what_trained_heads_count_tells_what_was_learned():
    learned, queries = fitted(), queries_of([*EASY, *HARD])
    told = np.array([surface.read(query.data, query.chars, query.structural) for query in queries]) @ presumption(learned, [source("a", [*EASY, *HARD], (0.5,) * 12)])

    assert told[6:].min() > told[:6].max()


def test_quantiles_are_weighted():
    assert quantile(np.array([3.0, 1.0, 2.0]), np.array([1.0, 8.0, 1.0]), 0.8) == pytest.approx(1.0)
