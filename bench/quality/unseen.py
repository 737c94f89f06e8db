"""What trainings presume of difficulty, made without the source that they are measured on.

The shipped presumption (`pointsman.learn.presumed`) has read the `train` rows of four development sources; measured with it, those would be no
strangers to it. Sources that it was not made of are measured with it as it is shipped.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from pointsman.learn.difficulty import SOURCES, Difficulty, Source, outcome_source, presumption, traffic_source
from pointsman.learn.presumed import shipped


def presumed(outcomes: Path, name: str) -> Any:
    """Weights for the counts of a trained head."""
    if name not in SOURCES:
        return shipped()
    others = [source for source in _sources(outcomes) if source.name != name]
    return presumption(Difficulty().fit(others, _traffic(outcomes)), others)


@cache
def _sources(outcomes: Path) -> tuple[Source, ...]:
    return tuple(outcome_source(outcomes, name) for name in SOURCES)


@cache
def _traffic(outcomes: Path) -> Source:
    return traffic_source(outcomes.parent / "traffic" / "prompts.parquet")
