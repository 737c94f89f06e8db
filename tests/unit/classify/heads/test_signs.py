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


@pytest.mark.parametrize("spaced", [f"\n  {QUESTION}\n\n", QUESTION.replace(" ", "   "), QUESTION.replace(" ", "\t")])
def test_runs_of_white_space_move_nothing(spaced):
    assert signs(spaced) == pytest.approx(signs(QUESTION))


def test_of_line_breaks_only_where_they_cut_lines_is_seen():
    broken, found = signs(QUESTION.replace(", ", ",\n\n")), signs(QUESTION)

    assert broken["line"] < found["line"]
    assert {name for name in NAMES if broken[name] != pytest.approx(found[name])} == {"line"}
    assert broken == pytest.approx(signs(QUESTION.replace(", ", ",\n  \n\n")))


def test_what_is_said_again_is_seen_and_a_list_is_no_long_line():
    grid = "\n".join(["0 1 0 1 0 1"] * 12)

    assert signs(grid)["repeated"] > 1 > signs(QUESTION)["repeated"]
    assert signs(grid)["line"] < signs(QUESTION)["line"] < signs(grid)["size"] + 1


def test_a_story_and_its_quantities_are_seen_by_their_words():
    told = signs("She gave him half of them, and each of us has twice as many.")

    assert told["story"] > signs("You give half of that, and there is twice as much.")["story"] == 0
    assert told["quantities"] > signs("She gave him some of them.")["quantities"] == 0


def test_who_is_told_what_to_do_is_seen():
    assert signs("You are given a grid and your task is to fill it.")["told"] > 0 == signs("Fill the grid.")["told"]


def test_the_first_pronoun_says_no_more_than_the_next():
    none, one, two, three = (signs("a b c d " * 5 + "they " * many + "e " * (4 - many))["story"] for many in range(4))

    assert one - none < 1.3 * (two - one)
    assert three - two > 0.5 * (one - none)


def test_a_short_line_more_hardly_shortens_the_line():
    found = signs(QUESTION)["line"]

    assert signs(f"The ticket says\n{QUESTION}")["line"] == pytest.approx(found, rel=0.01)
    assert signs(QUESTION.replace(", ", ",\n"))["line"] < found


def test_numbers_and_operators_count_only_where_no_answers_are_offered():
    offered = signs("What is 7 * 8 + 12?\nA. 4\nB. 68\nC. 96")

    assert offered["numbers"] == signs("no number")["numbers"]
    assert offered["operators"] == 0 < signs("What is 7 * 8 + 12?")["operators"]


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
