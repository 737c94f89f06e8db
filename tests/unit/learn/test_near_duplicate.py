"""Which prompts are nearly the same."""

import random

import pytest

np = pytest.importorskip("numpy")

from pointsman.learn.near_duplicate import groups, overlap, runs_of  # noqa: E402

TEXT = "Please explain to me in simple words how a bill becomes a law in the parliament of my country and who may stop it on the way"


def test_case_spacing_and_marks_play_no_part():
    same = groups([TEXT, f"  {TEXT.upper()}!!", TEXT.replace(" ", "\n")])

    assert len(set(same)) == 1


def test_a_changed_word_in_a_paragraph_is_a_near_duplicate():
    paragraph = " ".join(f"{TEXT} part {number}" for number in range(3))

    assert len(set(groups([paragraph, paragraph.replace("part 1", "part nine")]))) == 1


def test_other_questions_are_others():
    assert len(set(groups(["Where is my order?", "Where is my invoice?", TEXT, "我的订单在哪里", "我的发票什么时候到"]))) == 5


def test_scripts_without_spaces_are_compared_by_character():
    one = "我的订单已经三个星期了还没有收到请帮我查一下它现在在哪里谢谢你们的帮助"

    assert len(set(groups([one, one + "!", one.replace("三", "四") + "谢谢"]))) < 3


@pytest.mark.parametrize("prompts", [[], [""], ["", " ", "\n"], ["?", "!"], ["a" * 200_000, "b"], ["\x00\x01", "\ud800"]])
def test_any_prompt_has_a_group(prompts):
    found = groups(prompts)

    assert len(found) == len(prompts)


def test_empty_prompts_are_one_group_and_marks_are_not():
    assert groups(["", " ", "\n"]) == ["near 0"] * 3
    assert len(set(groups(["?", "!"]))) == 2


def test_groups_do_not_depend_on_order():
    draw = random.Random(4)
    prompts = [f"{TEXT} number {n % 40}" + " and more" * (n % 3) for n in range(120)]
    order = list(range(120))
    draw.shuffle(order)
    straight, shuffled = groups(prompts), groups([prompts[i] for i in order])

    back = dict(zip(order, shuffled, strict=True))
    assert all((straight[i] == straight[j]) == (back[i] == back[j]) for i in range(0, 120, 7) for j in range(120))


def test_overlap_is_the_share_of_common_runs():
    assert overlap(runs_of("a b c d"), runs_of("a b c d")) == 1.0
    assert overlap(runs_of("a b c d"), runs_of("a b c e")) == pytest.approx(1 / 3)
    assert overlap(runs_of("a b c"), runs_of("x y z")) == 0.0
