"""What a call of each model costs, for reports: given, or guessed from names, and always said which."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsman.config.known_models import size_of
from pointsman.errors import DataRefused

Floats: TypeAlias = NDArray[np.float64]

STEP = 5.0
"""Where nothing is known but the order: each rung costs so many times the one below. Published trios (1/5, 3/15, 15/75 dollars;
7B, 32B, 72B on rented GPUs) lie between 2 and 5."""
_COLUMNS = ("usd", "price", "cost", "usd_per_M_out", "output", "usd_per_M")


@dataclass(frozen=True)
class Prices:
    """One figure per model, in the order of the models. Only their ratios matter for shares and savings."""

    usd: Floats
    how: str
    """Where they come from, as half a sentence."""
    is_guess: bool

    def order(self) -> list[int]:
        """Places of the models, cheapest first."""
        return [int(place) for place in np.argsort(self.usd, kind="stable")]


def prices_of(models: Sequence[str], quality: Floats, given: str | None = None, ladder: Sequence[str] | None = None) -> Prices:
    """`given`: `small=0.2,large=5`, or a CSV file with `model` and a price. `ladder`: names, cheapest first. Else by sizes in the
    names, and where these say nothing by `quality` (n, m): better is taken for dearer. Raises `DataRefused`."""
    if given:
        table = parsed(given)
        if missing := [model for model in models if model not in table]:
            raise DataRefused("--prices", f"there is no price for {missing[0]!r}")
        return Prices(np.array([table[model] for model in models]), "as given", False)
    if ladder:
        if missing := [model for model in models if model not in ladder]:
            raise DataRefused("--ladder", f"{missing[0]!r} is a model and not on it")
        return Prices(STEP ** np.array([float(list(ladder).index(model)) for model in models]), f"each rung of the ladder {STEP:g} times the one below", True)
    sizes = [size_of(model) for model in models]
    known = [size for size in sizes if size is not None]
    if len(known) == len(models) and len(set(known)) > 1:
        return Prices(np.array(known), "in proportion to the sizes in their names", True)
    means = np.array([float(np.mean(column[np.isfinite(column)])) if np.isfinite(column).any() else 0.0 for column in quality.T])
    rank = np.argsort(np.argsort(means, kind="stable"), kind="stable").astype(np.float64)
    return Prices(STEP ** (rank * min(1.0, 2.0 / max(1.0, len(models) - 1.0))), "unknown: better models are taken for dearer ones", True)


def parsed(given: str) -> Mapping[str, float]:
    """Model -> price."""
    if "=" in given:
        pairs = [part.rpartition("=") for part in given.split(",") if part.strip()]
        return {name.strip(): _price(name.strip(), text) for name, _, text in pairs}
    path = Path(given)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeError, csv.Error) as exc:
        why = exc.strerror if isinstance(exc, OSError) and exc.strerror else exc
        raise DataRefused("--prices", f"{given[:80]!r} is neither `model=dollars,...` nor a CSV file that can be read: {why}") from exc
    column = next((name for name in _COLUMNS if rows and name in rows[0]), None)
    if column is None or "model" not in rows[0]:
        raise DataRefused(given, f"a file of prices has the columns `model` and one of {', '.join(_COLUMNS[:4])}")
    return {row["model"]: _price(row["model"], row[column]) for row in rows if row[column]}


def _price(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not isfinite(value) or value <= 0:
        raise DataRefused("--prices", f"the price of {name!r} is {text!r}; it must be a number above 0")
    return value
