"""The quality bench: its plan, its pace, what it keeps, and its simulated judge. No data, no fitting."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[3] / "bench" / "quality"
NAMES = ("cells", "opinion", "plots", "progress", "report", "routers", "run", "sources", "speed", "store", "trial")


@pytest.fixture(scope="module")
def bench() -> Iterator[dict[str, ModuleType]]:
    """The modules of the folder, which is no package and whose modules know each other by plain names: there while this file runs."""
    before = {name: sys.modules.pop(name) for name in NAMES if name in sys.modules}
    sys.path.insert(0, str(FOLDER))
    try:
        yield {name: importlib.import_module(name) for name in NAMES}
    finally:
        sys.path.remove(str(FOLDER))
        for name in NAMES:
            sys.modules.pop(name, None)
        sys.modules.update(before)


def test_first_draws_come_first_and_everybody_elses_scores_before_ours(bench: dict[str, ModuleType]):
    cells = bench["cells"]
    trials = cells.trials({"public", "dev", "curves"}, quick=False)

    made = cells.cells(trials, cells.PARTS)

    assert len(set(made)) == len(made)
    parts = [cell.part for cell in made]
    assert parts == sorted(parts, key=cells.PARTS.index)
    draws = [cell.trial.draw for cell in made if cell.part == "ours"]
    assert draws == sorted(draws)
    assert draws[0] == cells.GOLD


def test_learning_curves_of_mmlu_have_all_four_sizes(bench: dict[str, ModuleType]):
    trials = bench["cells"].trials({"curves"}, quick=False)

    assert {trial.labels for trial in trials if trial.source == "RouteLLM MMLU"} == {100, 300, 1000, 5000}


def test_a_cell_is_expected_to_take_as_long_as_those_most_like_it(bench: dict[str, ModuleType]):
    cell, trial, progress = bench["cells"].Cell, bench["cells"].Trial, bench["progress"]
    pace = progress.Pace({cell(trial("a", 100, 0), "ours"): 2.0, cell(trial("a", 1000, 0), "ours"): 20.0, cell(trial("b", 100, 0), "plain"): 1.0})

    assert pace.of(cell(trial("a", 1000, 1), "ours")) == 20.0
    assert pace.of(cell(trial("a", 300, 0), "ours")) == 11.0
    assert pace.of(cell(trial("c", 300, 0), "plain")) == 1.0
    assert pace.left_s([cell(trial("a", 1000, 1), "ours"), cell(trial("a", 1000, 2), "ours")], jobs=2) == 20.0


def test_the_bar_tells_how_far_and_how_long(bench: dict[str, ModuleType]):
    progress = bench["progress"]

    assert progress.bar(12, 48, 725.0, "ours") == "[######..................] 12/48 cells, 12 min left: ours"
    assert progress.duration(40.0) == "40 s"
    assert progress.duration(9000.0) == "2.5 h"


def test_a_kept_cell_is_there_for_the_same_code_and_missing_for_another(bench: dict[str, ModuleType], tmp_path: Path):
    cell = bench["cells"].Cell(bench["cells"].Trial("some source", 100, 0), "ours")
    store = bench["store"].Store(tmp_path, "abc")
    assert not store.has(cell)

    store.keep(cell, {"ours, static": np.array([[0.25, 0.5]], dtype=np.float32)}, 1.5)

    assert store.seconds(cell) == 1.5
    np.testing.assert_array_equal(store.said(cell)["ours, static"], [[0.25, 0.5]])
    assert not list(tmp_path.glob("*.part"))
    other = bench["store"].Store(tmp_path, "abc")
    other.marks["ours"] = "changed-abc"
    assert not other.has(cell)


def test_whatever_training_imports_makes_ours_anew(bench: dict[str, ModuleType]):
    found = bench["store"].reached(("learn/fit.py",))

    assert {"learn/fit.py", "learn/stack.py", "learn/differences.py", "learn/learners/platt.py", "classify/heads/rehearsal.py"} <= set(found)
    assert not any(name.startswith(("server", "gateway", "core")) for name in found)
    assert "learn/baselines.py" not in found


def test_figures_survive_being_kept(bench: dict[str, ModuleType], tmp_path: Path):
    trial = bench["cells"].Trial("zeroeval", 100, 2)
    made = bench["trial"].Result("zeroeval", 100, 2, 40, figures={"kNN": np.array([[0.6, 0.4, 0.7]])}, best_single={"kNN": [(0.1, 0.2)]},
                                 curves={"kNN": (np.array([0.0, 1.0]), np.array([0.0, 1.0]))}, seconds={"plain": 1.0})
    store = bench["store"].Store(tmp_path, "abc")
    assert store.result(trial, ("plain",)) is None

    store.keep_result(trial, ("plain",), made)

    found = store.result(trial, ("plain",))
    assert found.seconds == {"plain": 1.0}
    np.testing.assert_array_equal(found.figures["kNN"], made.figures["kNN"])
    assert store.result(trial, ("plain", "ours")) is None


def test_a_run_whose_time_is_over_begins_nothing(bench: dict[str, ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run, cells = bench["run"], bench["cells"]
    it = run.Bench(tmp_path, bench["store"].Store(tmp_path, "abc"), None, False, until=-1.0)
    run._BENCH[:] = [it]

    missing = run.fill(it, cells.cells(cells.trials({"dev"}, quick=True), cells.PARTS), jobs=1)

    assert missing == 10
    assert "0 of 10 cells are there" in capsys.readouterr().err


def test_a_run_makes_every_cell_that_is_missing_and_no_other(bench: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                           capsys: pytest.CaptureFixture[str]):
    run, cells = bench["run"], bench["cells"]
    wanted = cells.cells(cells.trials({"dev"}, quick=True), cells.PARTS)
    it = run.Bench(tmp_path, bench["store"].Store(tmp_path, "abc"), None, False, until=1e12)
    it.store.keep(wanted[3], {}, 2.0)
    made = []
    monkeypatch.setattr(run, "_made", lambda cell: (made.append(cell), (cell, 2.0))[1])

    missing = run.fill(it, wanted, jobs=1)

    assert missing == 0
    assert made == [cell for cell in wanted if cell != wanted[3]]
    assert "10/10 cells, 0 s left" in capsys.readouterr().err


def test_a_judge_who_is_right_more_often_than_not_helps_a_router_that_knows_nothing(bench: dict[str, ModuleType]):
    rng = np.random.default_rng(1)
    weak = (rng.random(4000) < 0.5).astype(float)
    strong = np.ones(4000)
    small, large = 0.5 + 1e-3 * rng.random(4000), np.full(4000, 1.0)

    with_judge = bench["opinion"].curve_with_judge(small, large, weak, strong, seed=1)

    assert with_judge.pgr[0] == 0.0
    assert with_judge.pgr[-1] == pytest.approx(1.0)
    assert with_judge.apgr > 0.51
    assert (np.diff(with_judge.pgr) >= -0.02).all()


def test_a_judge_is_asked_about_the_fifth_nearest_to_the_threshold_and_moves_no_other(bench: dict[str, ModuleType]):
    rng = np.random.default_rng(2)
    weak = (rng.random(1000) < 0.5).astype(float)
    strong = np.ones(1000)
    small = np.linspace(0.0, 1.0, 1000)
    order = np.argsort(small)  # the lowest of these go to the large one first

    with_judge = bench["opinion"].curve_with_judge(small, np.ones(1000), weak, strong, seed=1)

    gain = np.append(0.0, np.cumsum((strong - weak)[order])) / (strong - weak).sum()
    assert with_judge.pgr[50] >= gain[400]
    assert with_judge.pgr[50] <= gain[600]
