"""What the fault matrix takes for a verdict, whose answer it says a client got, and what it keeps of a wrong end."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

from pointsman.testing.fault_ledger import Entry, Ledger
from pointsman.testing.fault_oracle import Seen

BENCH = Path(__file__).resolve().parents[3] / "bench"


def _modules() -> tuple[ModuleType, ModuleType]:
    """The bench folders are no packages, and other folders there have modules of the same names."""
    names = ("cells", "world", "evidence", "processes", "target")
    absent = {"processes": ModuleType("processes"), "target": ModuleType("target")}
    absent["processes"].free_port = None  # type: ignore[attr-defined]  # what starts processes is not needed here
    absent["target"].Target = None  # type: ignore[attr-defined]
    kept = {name: sys.modules.pop(name, None) for name in names}
    with patch.object(sys, "path", [str(BENCH / "matrix"), *sys.path]), patch.dict(sys.modules, absent):
        found = importlib.import_module("cells"), importlib.import_module("evidence")
        imported = {name: module for name, module in sys.modules.items() if name not in names}
    sys.modules.update(imported)
    for name, module in kept.items():
        sys.modules.pop(name, None)
        if module is not None:
            sys.modules[name] = module
    return found


cells, evidence = _modules()


def an_entry(endpoint: str, at: float, *, is_complete: bool) -> Entry:
    return Entry("r", endpoint, at, 1, 1, 100, phase="answered" if is_complete else "over", is_complete=is_complete,
                 ended="" if is_complete else "rst")


def a_cell(fault: str = "U41", alternative: str = "endpoint", *, stream: bool = True) -> object:
    found = next(one for one in cells.FAULTS if one.id == fault)
    return cells.Cell(found, alternative, stream=stream, ledger=Ledger())


def test_an_attempt_that_was_given_up_and_read_late_is_not_whose_answer_came():
    good, bad = an_entry("x good", 1.0, is_complete=True), an_entry("x bad", 1.1, is_complete=False)

    assert cells.answering([good, bad]) is good
    assert cells.answering([bad]) is bad
    assert cells.judge(a_cell(), Seen("r", "complete", 200), [good, bad], is_first=False) == ""


def test_many_small_delays_are_as_late_as_a_large_one():
    lag = cells.LoopLag()
    lag.note(9.0, 0.09)
    assert not lag.between(8.0, 10.0)
    for turn in range(8):
        lag.note(20.0 + turn * 0.1, 0.05)

    assert lag.between(20.0, 20.8)
    assert not lag.between(20.0, 20.25)
    lag.note(30.0, 0.11)
    assert lag.between(30.0, 30.05)


def test_a_wrong_end_is_kept_with_all_that_is_known_of_it(tmp_path):
    cell = a_cell("U42", "tier")
    matrix = cells.Matrix([cell], None, Ledger(), cells.LoopLag(), runs=1, seed=7, parallel=1)
    asked = f"{cell.route}.7.3"
    matrix.ledger.add(Entry(asked, "x bad", 1.0, 1, 1, 100))
    seen = Seen(asked, "status", 502, {"x-route-tier": "1"}, b"x" * 9000)
    matrix._count(cell, seen, matrix.ledger.of(asked), "the client saw: status 502", is_first=False)
    log = f"2026-11-22T21:27:59 WARNING endpoint {cell.route}-a/0 is out\n  with a second line\n2026-11-22T21:28:00 WARNING endpoint other-a/0\n"
    matrix.add_books({asked: [{"id": "1", "outcome": "failed", "status": 502}]}, log)
    file = tmp_path / "kept" / "wrong.jsonl"

    assert evidence.keep(matrix.tallies.problems, file, part="cells", seed=7) == 1
    (kept,) = [json.loads(line) for line in file.read_text().splitlines()]
    assert (kept["part"], kept["case"], kept["request"]) == ("cells", cell.name, asked)
    told = kept["evidence"]
    assert (told["fault"], told["mode"], told["alternative"], told["seen"]["status"]) == ("U42", "stream", "tier", 502)
    assert told["expected"].startswith("the fault strikes ")
    assert told["attempts"][0]["endpoint"] == "x bad"
    assert told["records"][0]["outcome"] == "failed"
    assert told["log"] == [f"2026-11-22T21:27:59 WARNING endpoint {cell.route}-a/0 is out\n  with a second line"]
    assert len(told["seen"]["body"]) < 9000
