"""What a conformance run means: cells, what is red, the page. No client, no engine."""

from __future__ import annotations

import datetime
import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "bench" / "conformance"
DAY = datetime.date(2026, 11, 22)


def _module(name: str) -> ModuleType:
    """A module of the bench folder, which is no package: under a name of its own, so that nothing is shadowed."""
    full = f"bench_conformance_{name}"
    spec = importlib.util.spec_from_file_location(full, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[full] = module
    spec.loader.exec_module(module)
    return module


table = _module("table")


def a_line(ours: dict[str, str], direct: dict[str, str], **of_the_client: Any) -> Any:
    client = SimpleNamespace(**{"package": "openai", "api": "Chat Completions", "is_of_node": False} | of_the_client)
    return table.Line(client, "1.0", ours, direct)


@pytest.mark.parametrize(("ours", "direct", "cell"), [
    ("ok", "ok", "yes"),
    ("ok", "TypeError", "yes (engine alone: no)"),
    ("TypeError", "ok", "**no**"),
    ("TypeError", "TypeError", "engine cannot"),
    (None, "ok", "-"),
    ("TypeError", None, "engine cannot"),
    (table.DIED + "x", "ok", "**broken**"),
    (table.DIED + "x", table.DIED + "x", "**broken**"),
    ("ok", table.DIED + "x", "**broken**"),
])
def test_a_cell_compares_the_run_through_the_router_with_the_one_without(ours: str | None, direct: str | None, cell: str) -> None:
    def said(outcome: str | None) -> dict[str, str]:
        return {} if outcome is None else {"tools": outcome}

    assert a_line(said(ours), said(direct)).cell("tools") == cell


def test_only_what_fails_through_the_router_alone_or_told_nothing_is_red() -> None:
    line = a_line({"chat": "ok", "stream": "no", "tools": "no", "usage": table.DIED}, {"chat": "no", "stream": "ok", "tools": "no"})

    assert line.red == ["stream", "usage"]


def test_a_script_tells_on_its_last_line() -> None:
    assert table.answers('a warning\n{"version": "3", "chat": "ok"}\n', "") == {"version": "3", "chat": "ok"}


@pytest.mark.parametrize("printed", ["", "Traceback", '["chat"]', "12"])
def test_a_script_that_ended_early_has_told_nothing_about_any_feature(printed: str) -> None:
    said = table.answers(printed, "ImportError: no openai")

    assert said.pop("version") == "unknown"
    assert said == dict.fromkeys(table.FEATURES, table.DIED + "ImportError: no openai")


def test_the_engine_is_not_blamed_for_one_bad_moment() -> None:
    first, second = {"version": "3", "chat": "reset", "tools": "no", "usage": "ok"}, {"version": "3", "chat": "ok", "tools": "no", "usage": "x"}

    assert table.at_best(first, second) == {"version": "3", "chat": "ok", "tools": "no", "usage": "ok"}


def test_the_page_has_a_row_for_each_client_and_says_whose_package_it_is() -> None:
    lines = [a_line({"chat": "ok"}, {"chat": "ok"}), a_line({"chat": "ok"}, {"chat": "ok"}, is_of_node=True)]

    page = table.page(lines, engine="an engine", day=DAY)

    assert "| `openai` (PyPI) | 1.0 | Chat Completions | yes | - | - | - | - | - | - |" in page
    assert "| `openai` (npm) | 1.0 | Chat Completions | yes |" in page
    assert "not `yes`" not in page
    assert "before an engine, and against the engine itself. Run 2026-11-22" in page


def test_a_cell_that_is_not_yes_shows_both_runs_beside_each_other() -> None:
    page = table.page([a_line({"tools": "Boom: `x`"}, {"tools": "ok"})], engine="an engine", day=DAY)

    assert "- `openai` (PyPI), tools: through the router `Boom: 'x'`, engine alone `ok`" in page


def test_what_the_engine_alone_cannot_do_is_explained_where_it_is_known() -> None:
    message = a_line({"json_schema": "ok"}, {"json_schema": "no"}, api="Messages")
    chat = a_line({"json_schema": "ok"}, {"json_schema": "no"})

    assert "llama.cpp reads no `output_config`" in table.both_ways(message, "json_schema")
    assert table.both_ways(chat, "json_schema").endswith("engine alone `no`")
