"""What may be lost on a request, so that the mean over all keeps a share of the reference."""

import pytest

np = pytest.importorskip("numpy")

from pointsman.artifact import Artifact  # noqa: E402
from pointsman.classify.heads.rehearsal import FEWEST, MOST, NEVER, Rehearsal, array, of_artifact, together  # noqa: E402
from pointsman.classify.policy import GRID, allowed  # noqa: E402
from pointsman.errors import ArtifactRefused  # noqa: E402


def rows(count=1000, seed=0, gap=0.3):
    """A small model whose distance to the large one is known per row."""
    draw = np.random.default_rng(seed)
    large = np.full(count, 0.9)
    small = 0.9 - 2 * gap * draw.random(count)
    expected = np.column_stack([small, large])
    return expected, (draw.random((count, 2)) < expected).astype(float)


def rehearsal(*args, **more):
    return Rehearsal(array(*rows(*args, **more), np.random.default_rng(0)))


def kept(allowance, seed):
    """Of the reference's mean quality, on other rows of the same kind."""
    expected, came = rows(20000, seed)
    got = np.where(expected[:, 1] - expected[:, 0] <= allowance, came[:, 0], came[:, 1])
    return got.mean() / came[:, 1].mean()


@pytest.mark.parametrize("quality", [0.8, 0.9, 0.95])
def test_what_is_asked_is_kept_in_the_mean_nine_times_in_ten(quality):
    reached = [kept(allowed(rehearsal(400, seed=seed).allowances([0, 1], 1), quality), 1000 + seed) for seed in range(30)]

    assert np.mean(np.array(reached) >= quality - 0.003) >= 0.8
    assert np.mean(reached) < quality + 0.06


def test_more_quality_allows_less():
    told = rehearsal().allowances([0, 1], 1)

    assert len(told) == len(GRID)
    assert list(told) == sorted(told, reverse=True)


def test_fewer_labels_allow_less():
    few, many = (allowed(rehearsal(count).allowances([0, 1], 1), 0.95) for count in (100, 1000))

    assert few < many


def test_a_request_may_lose_more_than_the_mean_may():
    assert allowed(rehearsal().allowances([0, 1], 1), 0.95) > 0.05 * 0.9


def test_that_none_of_a_few_rows_was_lost_proves_nothing():
    expected = np.column_stack([np.linspace(0.0, 0.9, 100), np.full(100, 0.9)])
    came = np.ones((100, 2))
    came[:60, 0] = 0.0

    assert allowed(Rehearsal(array(expected, came, np.random.default_rng(0))).allowances([0, 1], 1), 1.0) == NEVER


def test_a_reference_that_labels_show_to_be_the_worse_one_is_left_even_where_all_is_to_be_kept():
    draw = np.random.default_rng(3)
    small = draw.uniform(0.5, 0.9, 300)
    came = np.column_stack([draw.random(300) < small, draw.random(300) < 0.5]).astype(float)
    found = Rehearsal(array(np.column_stack([small, np.full(300, 0.5)]), came, np.random.default_rng(0)))

    assert allowed(found.allowances([0, 1], 1), 1.0) > -0.2


def test_a_cheaper_model_that_is_better_serves_always():
    expected = np.tile([0.9, 0.5], (400, 1))
    came = (np.random.default_rng(1).random((400, 2)) < expected).astype(float)

    assert allowed(Rehearsal(array(expected, came, np.random.default_rng(0))).allowances([0, 1], 1), 1.0) == pytest.approx(-0.4, abs=0.001)


def test_a_gain_that_never_came_is_not_believed():
    expected = np.tile([0.9, 0.5], (400, 1))
    came = (np.random.default_rng(1).random((400, 2)) < [0.3, 0.5]).astype(float)

    assert allowed(Rehearsal(array(expected, came, np.random.default_rng(0))).allowances([0, 1], 1), 0.95) == NEVER


def test_the_cheapest_that_may_serve_takes_the_loss_of_its_own_requests():
    expected = np.tile([0.5, 0.85, 0.9], (1000, 1))
    came = (np.random.default_rng(1).random((1000, 3)) < expected).astype(float)
    told = Rehearsal(array(expected, came, np.random.default_rng(0))).allowances([0, 1, 2], 2)

    assert 0.0499 < allowed(told, 0.9) < 0.39 < allowed(told, 0.5)


def test_what_is_dearer_than_the_reference_is_never_chosen():
    assert rehearsal().allowances([1, 0], 1) == (NEVER,) * len(GRID)


def test_too_few_rows_promise_nothing():
    expected, came = rows(FEWEST - 1)
    many, missing = rows(500)
    missing[FEWEST - 1:, 0] = np.nan

    assert Rehearsal(array(expected, came, np.random.default_rng(0))).allowances([0, 1], 1) is None
    assert Rehearsal(array(many, missing, np.random.default_rng(0))).allowances([0, 1], 1) is None


def test_a_bounded_number_of_rows_is_kept_and_none_without_an_expectation():
    expected, came = rows(MOST + 500)
    expected[0] = np.nan

    assert array(expected, came, np.random.default_rng(0)).shape == (MOST, 4)
    assert array(expected[:10], came[:10], np.random.default_rng(0)).shape == (9, 4)


def test_two_stacks_allow_what_both_do():
    strict, lax = rehearsal(100), rehearsal(1000)
    both = together((strict, lax), [0, 1], 1)

    assert both == tuple(map(min, strict.allowances([0, 1], 1), lax.allowances([0, 1], 1)))
    assert together((lax, rehearsal(10)), [0, 1], 1) is None
    assert together((), [0, 1], 1) is None


def test_columns_can_be_taken_in_another_order():
    turned = rehearsal().of_places([1, 0])

    assert turned.allowances([1, 0], 0) == rehearsal().allowances([0, 1], 1)


def an_artifact(tmp_path, **arrays):
    return Artifact({"models": ["a", "b"]}, arrays, "1", tmp_path)


def test_only_the_stacks_that_answer_here_count(tmp_path):
    rows_ = array(*rows(60), np.random.default_rng(0))
    made = an_artifact(tmp_path, **{"static.rehearsal": rows_, "full.rehearsal": rows_})

    assert [len(of_artifact(made, with_sentence=on)) for on in (False, True)] == [1, 2]
    assert of_artifact(an_artifact(tmp_path), with_sentence=True) == ()


def test_rows_of_another_shape_are_refused(tmp_path):
    with pytest.raises(ArtifactRefused, match="two columns for each model"):
        of_artifact(an_artifact(tmp_path, **{"static.rehearsal": np.zeros((5, 3))}), with_sentence=False)
