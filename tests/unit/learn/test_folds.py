"""Which rows belong together."""

import numpy as np

from pointsman.learn.folds import groups_of, held_out, several


def test_prompts_that_differ_in_case_and_spaces_are_one_group():
    groups = groups_of(["Where is it?", "where  IS it", "Who is it?"])

    assert groups[0] == groups[1] != groups[2]


def test_named_groups_are_believed_and_joined_with_equal_texts():
    groups = groups_of(["a", "b", "b", "c"], ["one", "one", "two", "three"])

    assert groups[0] == groups[1] == groups[2] != groups[3]


def test_only_groups_of_several_rows_are_listed():
    assert [rows.tolist() for rows in several(np.array([0, 1, 0, 2, 1, 0]))] == [[0, 2, 5], [1, 4]]


def test_whole_groups_are_held_out():
    groups = np.repeat(np.arange(50), 4)
    out = held_out(groups, 0.2, np.random.default_rng(0))

    assert 0.15 < out.mean() < 0.3
    assert all(len(set(out[groups == one])) == 1 for one in range(50))


def test_a_group_of_nearly_everything_does_not_leave_nothing_to_fit():
    for groups in (np.zeros(500, dtype=np.intp), np.array([0] * 490 + list(range(1, 11)))):
        for seed in range(5):
            out = held_out(groups, 0.2, np.random.default_rng(seed))

            assert out.mean() <= 0.5
