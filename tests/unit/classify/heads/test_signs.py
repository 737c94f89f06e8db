"""What is counted in a text, and what moves nothing."""

import numpy as np
import pytest

from pointsman.classify import features
from pointsman.classify.heads.query import Query
from pointsman.classify.heads.signs import HEAD, NAMES, TAIL, read

NOTHING = tuple(0.0 for _ in features.NAMES)
QUESTION = "A farmer, who has 12 cows and 30 hens, sells 3 cows. How many legs are left?"


def signs(text, structural=NOTHING, chars=None):
    data = text.encode()
    return dict(zip(NAMES, read(data, len(text) if chars is None else chars, structural), strict=True))


def test_there_is_a_number_for_every_name_whatever_the_text():
    for text in ("", " ", "\x00\xff", "你好，世界", "x" * 100_000, "A. b\nB. c", "??!!" * 999):
        found = read(text.encode("utf-8", "replace"), len(text), NOTHING)

        assert len(found) == len(NAMES)
        assert np.isfinite(found).all()


@pytest.mark.parametrize("change", [str.upper, str.lower, str.title])
def test_case_moves_nothing(change):
    assert signs(change(QUESTION)) == signs(QUESTION)


@pytest.mark.parametrize("spaced", [f"\n  {QUESTION}\n\n", QUESTION.replace(" ", "   "), QUESTION.replace(" ", "\n")])
def test_runs_of_white_space_move_nothing(spaced):
    assert signs(spaced) == pytest.approx(signs(QUESTION))


def test_clauses_and_numbers_count():
    assert signs(QUESTION)["commas"] > signs(QUESTION.replace(",", ""))["commas"]
    assert signs(QUESTION)["numbers"] > signs(QUESTION.replace("12", "some"))["numbers"]


def test_a_date_is_one_number():
    assert signs("on 2024-05-01")["numbers"] == signs("on 20240501")["numbers"]


def test_answers_to_choose_from_are_no_part_of_the_question():
    chosen = signs(f"{QUESTION}\nA. 4\nB. 36\nC. 96\nD. none of these")

    assert chosen["options"] == pytest.approx(0.4)
    assert chosen["stem"] == pytest.approx(signs(QUESTION)["stem"], abs=0.002)
    assert signs("I. am\nno list")["options"] == 0


def test_ordinary_words_of_another_language_say_nothing():
    assert signs("der die das und ist nicht " * 20)["common"] == 0.2


def test_a_long_text_is_counted_at_both_ends_and_the_middle_by_its_length():
    half, whole = signs("a, b. " * 5000), signs("a, b. " * 10000)

    assert whole["commas"] > half["commas"]
    assert signs("a" * HEAD + "," * 9999 + "b" * TAIL)["brackets"] == 0


def test_structural_features_are_handed_on_but_for_those_that_white_space_moves():
    query = Query.of_prompt("Prove that\n\n there are infinitely many primes")
    found = signs(query.text, query.structural)

    assert found["structural.proof"] == 1
    assert "structural.lines" not in NAMES
    assert "structural.length" not in NAMES
