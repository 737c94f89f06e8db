"""Ways to choose, on the same rows and resamples."""

import pytest

np = pytest.importorskip("numpy")

from pointsman.learn.ground import Ground  # noqa: E402
from pointsman.learn.scores import Scores  # noqa: E402
from pointsman.learn.table import OutcomeTable  # noqa: E402


def ground(models=2, rows=400, others=(), draws=60):
    """Score and truth of the small model agree; the others are good nearly always."""
    draw = np.random.default_rng(0)
    p = np.column_stack([draw.random(rows), *[np.full(rows, 0.9)] * (models - 1)])
    quality = (draw.random((rows, models)) < p).astype(float)
    table = OutcomeTable([str(n) for n in range(rows)], ["x" * int(n) for n in draw.integers(9, 99, rows)], tuple(f"m{n}" for n in range(models)), quality)
    expected = {"another": draw.random((rows, models)), "the same": p}
    return Ground.of(table, Scores(p, p, np.zeros(rows, bool)), 10.0 ** np.arange(models), 0, models - 1, draws, 1, {name: expected[name] for name in others})


def margins(found):
    _, gaps = found.routers("m1", lambda stage, done: None)
    return {gap.router: gap for gap in gaps}


def test_ours_is_paired_with_each_other_that_ranks():
    found = margins(ground(others=("another", "the same")))

    assert list(found) == ["random mixing", "prompt length", "another", "the same"]
    for name in ("random mixing", "prompt length", "another"):
        assert found[name].apgr.low > 0
        assert found[name].aiq.low > 0
        assert found[name].p_apgr < 0.05
    same = found["the same"].apgr
    assert (same.low, same.value, same.high) == (0, 0, 0)
    assert found["the same"].p_apgr == 1


def test_with_more_models_others_may_choose_among_all_too():
    routers, gaps = ground(3, others=("another", "the same")).routers("m1", lambda stage, done: None)
    names = [router.name for router in routers]

    assert {"random mixing, all models", "another, all models", "the same, all models", "ours, all models"} <= set(names)
    assert names[-1] == "oracle"
    found = {gap.router: gap for gap in gaps}
    assert found["the same"].aiq.value == 0
    assert found["prompt length"].aiq is None
    aiq = {router.name: router.aiq for router in routers}
    assert found["random mixing"].aiq.value == pytest.approx(aiq["ours, all models"].value - aiq["random mixing, all models"].value)


def test_an_inverted_pair_is_compared_by_quality_alone():
    found = ground(others=("another",))
    found.bottom, found.top = 1, 0
    gap = margins(found)["another"]

    assert gap.apgr is None
    assert gap.p_apgr is None
    assert gap.aiq is not None


def test_it_says_how_far_it_is():
    steps = []
    ground(others=("another",)).routers("m1", lambda stage, done: steps.append((stage, done)))

    assert steps == [("comparing", pytest.approx(1 / 3))]
