"""What the commands that learn have in common: one sentence and exit 2 for what cannot be, and progress on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from pointsman.errors import DataRefused, PointsmanError

NOT_DONE = 2
"""Exit code of everything that the caller can mend."""
EXTRAS = ("numpy", "scipy", "sklearn", "threadpoolctl", "pyarrow")
"""What learning needs beyond serving."""

Report = Callable[[str, float], None]


@contextmanager
def one_sentence() -> Iterator[None]:
    """Errors that are ours, and a missing extra, as one sentence on standard error and exit 2."""
    try:
        yield
    except PointsmanError as error:
        _end(" ".join(str(error).split("\n")), error)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRAS:
            raise
        _end(f"learning needs {error.name}, which is not installed: pip install 'pointsman[learn]' (in a checkout: make setup)", error)
    except MemoryError as error:
        _end("there is not enough memory for this many rows: train on a sample of them", error)


def _end(sentence: str, error: BaseException) -> None:
    typer.echo(sentence, err=True)
    raise typer.Exit(NOT_DONE) from error


@contextmanager
def bars(*, quiet: bool = False) -> Iterator[Report]:
    """A bar for each stage, on a terminal. Elsewhere nothing: what stands on standard error is then the one sentence, if any."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda stage, done: None
        return
    with Progress(SpinnerColumn(), TextColumn("{task.description:<10}"), BarColumn(), TimeElapsedColumn(), console=console) as progress:
        yield _Bars(progress)


class _Bars:
    """One bar a stage; a stage that begins ends the one before."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: float) -> None:
        if stage not in self._tasks:
            for task in self._tasks.values():
                self._progress.update(task, completed=1.0)
                self._progress.stop_task(task)
            self._tasks[stage] = self._progress.add_task(stage, total=1.0)
        self._progress.update(self._tasks[stage], completed=done)


def refuse_picture(place: Path | None) -> None:
    """A picture that could not be saved, said before the work and not after."""
    if place is None:
        return
    if place.suffix.lower() != ".svg":
        raise DataRefused(str(place), "pictures are drawn as SVG: a name that ends in .svg, please")
    if not place.parent.is_dir():
        raise DataRefused(str(place), f"the picture cannot be written: there is no folder {str(place.parent)!r}")


def names(text: str | None) -> list[str] | None:
    """`a,b` as a list; None and nothing stay None."""
    found = [name.strip() for name in (text or "").split(",") if name.strip()]
    return found or None
