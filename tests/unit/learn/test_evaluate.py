"""What scores are worth, beside what anybody could do without them."""

import re

import pytest

np = pytest.importorskip("numpy")

from pointsman.learn.evaluate import auroc, evaluate  # noqa: E402
from pointsman.learn.plot import svg  # noqa: E402
from pointsman.learn.prices import Prices  # noqa: E402
from pointsman.learn.scores import Scores  # noqa: E402
from pointsman.learn.table import OutcomeTable  # noqa: E402


def ground(rows=600, models=2, seed=0):
    """Score and truth of the small model agree; the others are good nearly always. Prompt length says nothing."""
    draw = np.random.default_rng(seed)
    p = np.column_stack([draw.random(rows), *[np.full(rows, 0.9)] * (models - 1)])
    quality = (draw.random((rows, models)) < p).astype(float)
    prompts = ["x" * int(length) for length in draw.integers(10, 500, rows)]
    table = OutcomeTable([str(n) for n in range(rows)], prompts, tuple(f"m{place}" for place in range(models)), quality)
    return table, Scores(p, p, np.zeros(rows, bool)), Prices(10.0 ** np.arange(models), "as given", False)


def by_name(found):
    return {router.name.partition(" (")[0]: router for router in found.routers}


def test_baselines_stand_where_they_must():
    found = by_name(evaluate(*ground(), draws=50))

    assert found["random mixing"].apgr.value == pytest.approx(0.5)
    assert found["prompt length"].apgr.low < 0.5 < found["prompt length"].apgr.high
    assert found["always reference"].savings[2].value == 0
    assert found["always cheapest"].savings == (None, None, None)
    assert found["best single"].savings[0].value == 0
    assert found["oracle"].apgr.value > found["ours, two models"].apgr.value > 0.6
    assert found["oracle"].aiq.value > found["ours, two models"].aiq.value > found["random mixing"].aiq.value


def test_scores_that_know_save_while_keeping_quality():
    ours = by_name(evaluate(*ground(), draws=50))["ours, two models"]

    assert ours.savings[0].value > 0.2
    assert ours.savings[0].low <= ours.savings[0].value <= ours.savings[0].high
    assert ours.cpt50.value < 0.4


def test_the_margin_over_length_is_paired():
    found = evaluate(*ground(), draws=50)

    assert 0 < found.margin_length.low < found.margin_length.value
    table, scores, prices = ground()
    length = np.array([len(prompt) for prompt in table.prompts]) / 1000
    same = Scores(np.column_stack([1 - length, np.ones(len(length))]), scores.lower, scores.foreign)
    assert evaluate(table, same, prices, draws=20).margin_length.value == pytest.approx(0)


def test_three_models_get_a_curve_of_their_own():
    found = by_name(evaluate(*ground(models=3), draws=20))

    assert found["ours, all models"].aiq.value >= found["ours, two models"].aiq.value


def test_an_inverted_pair_has_no_gap_and_that_is_said():
    table, scores, prices = ground()
    dear = Prices(prices.usd[::-1].copy(), "as given", False)
    found = evaluate(table, scores, dear, draws=20)

    assert (found.cheapest, found.reference) == ("m1", "m0")
    assert by_name(found)["ours, two models"].apgr is None
    assert found.margin_length is None
    assert "no better here" in found.remarks[0]
    assert found.best_single == "m1"


def test_the_reference_can_be_named():
    assert evaluate(*ground(models=3), reference="m1", draws=5).reference == "m1"


def test_too_few_common_rows_compare_nothing_but_measure_each_model():
    table, scores, prices = ground(30)
    table.quality[10:, 1] = np.nan
    found = evaluate(table, scores, prices, draws=5)

    assert found.routers == ()
    assert "only 10 rows" in found.remarks[0]
    assert [head.rows for head in found.heads] == [30, 10]


def test_models_that_were_seldom_run_together_leave_the_two_ends():
    table, scores, prices = ground(models=3)
    table.quality[5:, 1] = np.nan
    found = evaluate(table, scores, prices, draws=5)

    assert found.rows == 600
    assert any("only the cheapest and the reference" in remark for remark in found.remarks)


@pytest.mark.parametrize("rows", [0, 1])
def test_hardly_any_rows_are_no_error(rows):
    found = evaluate(*ground(rows), draws=5)

    assert found.rows == rows
    assert found.routers == ()


def test_one_model_has_nothing_to_be_compared_with():
    table, scores, _ = ground()
    found = evaluate(table.only(["m0"]), Scores(scores.p[:, :1], scores.lower[:, :1], scores.foreign), Prices(np.ones(1), "as given", False), draws=5)

    assert found.routers == ()
    assert found.heads[0].auroc > 0.7


def test_settings_tell_what_they_would_have_done():
    settings = evaluate(*ground(), draws=20).settings

    assert [one.quality for one in settings] == sorted(one.quality for one in settings)
    assert [one.cost for one in settings] == sorted(one.cost for one in settings)
    assert settings[-1].kept.value > settings[0].kept.value


def test_auroc_counts_ties_half():
    assert auroc(np.array([0.1, 0.9]), np.array([0.0, 1.0])) == 1.0
    assert auroc(np.array([0.9, 0.1]), np.array([0.0, 1.0])) == 0.0
    assert auroc(np.array([0.5, 0.5, 0.5]), np.array([0.0, 1.0, 1.0])) == 0.5
    assert auroc(np.array([0.5, 0.7]), np.array([1.0, 1.0])) is None


def test_other_routers_stand_beside_ours():
    table, scores, prices = ground()

    assert "theirs" in by_name(evaluate(table, scores, prices, draws=5, others={"theirs": scores.p[::-1]}))


def test_the_picture_has_a_line_for_each_router():
    found = evaluate(*ground(), draws=5)
    picture = svg(found, "a < b")

    assert picture.count("<polyline") == 1 + sum(len(router.curve) > 1 for router in found.routers)
    assert "a &lt; b" in picture
    assert all(router.name in picture for router in found.routers)
    assert not re.search(r"\bnan\b", picture)


def test_a_picture_of_nothing_is_a_picture():
    assert svg(evaluate(*ground(0), draws=5), "nothing").endswith("</svg>\n")


def test_the_same_seed_gives_the_same_intervals():
    assert evaluate(*ground(100), draws=10, seed=4).routers == evaluate(*ground(100), draws=10, seed=4).routers
    assert evaluate(*ground(100), draws=10, seed=4).routers != evaluate(*ground(100), draws=10, seed=5).routers
