"""What is said of labels before they are trusted."""

import random

import pytest

np = pytest.importorskip("numpy")

from pointsman.learn.checks import check, disagreements  # noqa: E402
from pointsman.learn.near_duplicate import groups  # noqa: E402
from pointsman.learn.table import OutcomeTable  # noqa: E402

NAN = float("nan")


def table(quality, prompts=None, **more):
    quality = np.array(quality, dtype=float)
    prompts = prompts or [f"question {random.Random(n).random()} about {n}" for n in range(len(quality))]
    return OutcomeTable([str(n) for n in range(len(quality))], prompts, tuple("abcdef"[: quality.shape[1]]), quality, **more)


def mixed(count):
    return [[n % 2, (n // 2) % 2] for n in range(count)]


def codes(found):
    return {(one.level, one.code) for one in check(found, groups(found.prompts))}


@pytest.mark.parametrize(("rows", "level"), [(0, "problem"), (1, "problem"), (9, "problem"), (10, "warning"), (299, "warning")])
def test_too_few_rows(rows, level):
    assert (level, "too_few") in codes(table(np.array(mixed(rows)).reshape(rows, 2)))


def test_enough_rows_that_vary_raise_nothing():
    assert not {one for one in codes(table(mixed(400))) if one[0] != "note"}


def test_rows_without_an_outcome_and_of_other_splits_do_not_count():
    assert ("problem", "too_few") in codes(table([[NAN, NAN]] * 50 + mixed(5)))
    assert ("problem", "too_few") in codes(table(mixed(50), split=["dev"] * 45 + ["train"] * 5))


def test_a_model_that_is_always_right_is_said():
    found = check(table([[1, n % 2] for n in range(400)]), [str(n) for n in range(400)])

    assert [one.text for one in found if one.code == "one_class"] == ["the outcomes of 'a' are all 1: its score will not depend on the query"]


def test_one_label_for_all_is_a_problem_of_tiers_only():
    one = table([[0, 1]] * 50)

    assert [f.level for f in check(one, ["x"] * 50, are_tiers=True) if f.code == "one_class"] == ["problem"]
    assert [f.level for f in check(one, [str(n) for n in range(50)]) if f.code == "one_class"] == ["warning"]


def test_a_model_that_was_never_or_hardly_run_is_said():
    assert ("warning", "never_run") in codes(table([[n % 2, NAN] for n in range(400)]))
    assert ("warning", "never_run") in codes(table([[n % 2, (n % 2 if n < 8 else NAN)] for n in range(400)]))


def test_copies_on_both_sides_of_the_split_are_said():
    prompts = [f"the very long and very special question about thing number {n % 50} and nothing else" for n in range(400)]
    split = ["train" if n < 300 else "dev" for n in range(400)]

    assert ("warning", "duplicates") in codes(table(mixed(400), prompts, split=split))
    assert ("note", "duplicates") in codes(table(mixed(400), prompts))


def test_a_label_that_stands_in_the_prompt_is_said():
    prompts = [f"{'CATEGORY-HARD' if n % 2 else 'CATEGORY-EASY'} {random.Random(n).random()} do something with {n}" for n in range(400)]
    found = [one.text for one in check(table(mixed(400), prompts), [str(n) for n in range(400)]) if one.code == "leakage"]

    assert len(found) == 1
    assert "category-" in found[0]


def test_near_duplicates_that_disagree_tell_the_noise():
    quality = [[n % 2 if n % 10 == 0 else 1.0] for n in range(400)]
    same = [str(n // 2) for n in range(400)]
    pairs, differing = disagreements(table([[1.0], [0.0]] * 100 + [[1.0], [1.0]] * 100), same)

    assert (pairs, differing) == (200, 100)
    found = check(table([[1.0], [0.0]] * 60 + [[1.0], [1.0]] * 140), same)
    assert "about 18% of the labels may be wrong" in next(one.text for one in found if one.code == "label_noise")
    assert not [one for one in check(table(quality), [str(n) for n in range(400)]) if one.code == "label_noise"]


def test_the_gravest_comes_first():
    levels = [one.level for one in check(table([[1, NAN]] * 5 + [[1, NAN]]), ["x"] * 6)]

    assert levels == sorted(levels, key=("problem", "warning", "note").index)


def test_too_few_rows_of_many_say_why():
    assert "its `split` is 'train'" not in said(table(mixed(5)))
    assert "only rows whose `split` is 'train' are fitted; here it says 'A', 'B'" in said(table(mixed(50), split=["A"] * 30 + ["B"] * 20))
    assert "(50 of 50 rows have no outcome of any model)" in said(table([[NAN, NAN]] * 50))


def said(found):
    return " ".join(one.text for one in check(found, [str(n) for n in range(len(found))]) if one.code == "too_few")


def test_many_empty_prompts_are_a_warning_and_few_a_note():
    assert ("warning", "empty_prompts") in codes(table(mixed(400), prompts=[""] * 400))
    assert ("note", "empty_prompts") in codes(table(mixed(400), prompts=["", *(f"what is {n} and {n * n}" for n in range(399))]))


def test_characters_that_could_not_be_read_are_said():
    assert ("warning", "torn_prompts") in codes(table(mixed(400), prompts=[f"caf\ufffd number {n}" for n in range(400)]))
