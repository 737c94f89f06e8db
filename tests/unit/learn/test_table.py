"""Outcomes as a table."""

import pytest

np = pytest.importorskip("numpy")

from pointsman.learn.table import OutcomeTable  # noqa: E402


def table():
    return OutcomeTable(["a", "b", "c"], ["one", "two", "three"], ("x", "y"), np.array([[0, 1], [1, 0], [0.5, np.nan]]), split=["train", "dev", "train"],
                        weight=np.array([1.0, 2.0, 3.0]), tokens=np.arange(6.0).reshape(3, 2))


@pytest.mark.parametrize("rows", [[2, 0], np.array([2, 0]), iter([2, 0])])
def test_rows_are_taken_in_the_order_asked_for(rows):
    found = table().take(rows)

    assert found.query_id == ["c", "a"]
    assert found.split == ["train", "train"]
    assert found.weight.tolist() == [3.0, 1.0]
    assert found.tokens.tolist() == [[4, 5], [0, 1]]
    assert found.group is None


def test_a_mask_takes_what_is_true():
    assert table().take(np.array([False, True, False])).prompts == ["two"]
    assert len(table().take([])) == 0


def test_models_are_chosen_with_their_columns():
    found = table().only(["y"])

    assert found.models == ("y",)
    assert found.quality[:2].tolist() == [[1], [0]]
    assert found.tokens.tolist() == [[1], [3], [5]]


@pytest.mark.parametrize("change", [{"quality": np.zeros((3, 3))}, {"split": ["train"]}, {"weight": np.ones(2)}, {"query_id": ["a"]}])
def test_columns_of_other_lengths_are_refused(change):
    whole = {"query_id": ["a", "b", "c"], "prompts": ["", "", ""], "models": ("x", "y"), "quality": np.zeros((3, 2))} | change

    with pytest.raises(ValueError, match=r"rows|quality"):
        OutcomeTable(**whole)


def test_repr_counts_what_is_known():
    assert repr(table()) == "<OutcomeTable 3 queries x 2 models, 5 outcomes>"
