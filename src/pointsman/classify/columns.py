"""Which of an artifact's columns speaks for which tier.

An artifact knows models by the names that its training data had; a configuration has tiers, pools and models of pools.
Looked up in this order: what `classifier.models` says, the tier's name, its pools' names, the names of their models; each
as written, then without regard to case and a provider in front. A tier that is found nowhere is unknown to the classifier.

The shipped artifact knows no models but places on a ladder, `place:0` for the first rung to `place:1` for the last; a tier
between two places gets its share of both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pointsman.core.settings import Settings

Column = tuple[tuple[int, float], ...]
"""Places in a row of scores, and their shares, which add up to 1."""
PLACE = "place:"


def columns_of(settings: Settings, ladder: Sequence[str], models: Sequence[str]) -> dict[str, Column]:
    """Tier -> column, for the tiers that the artifact knows."""
    if is_of_places(models):
        places = [float(name.removeprefix(PLACE)) for name in models]
        return {tier: _between(places, _place(rung, len(ladder))) for rung, tier in enumerate(ladder)}
    found = {tier: _named(settings, tier, models) for tier in ladder}
    return {tier: ((at, 1.0),) for tier, at in found.items() if at is not None}


def is_of_places(models: Sequence[str]) -> bool:
    """It was trained on ladders, not on anybody's models."""
    return bool(models) and all(name.startswith(PLACE) for name in models)


def _place(rung: int, rungs: int) -> float:
    """From 0 to 1; a lone rung stands at the top."""
    return rung / (rungs - 1) if rungs > 1 else 1.0


def _between(places: Sequence[float], place: float) -> Column:
    """`places` ascend."""
    above = next((at for at, known in enumerate(places) if known >= place), len(places) - 1)
    if above == 0 or places[above] <= place:
        return ((above, 1.0),)
    share = (place - places[above - 1]) / (places[above] - places[above - 1])
    return ((above - 1, 1 - share), (above, share))


def _named(settings: Settings, tier: str, models: Sequence[str]) -> int | None:
    names = tuple(_names(settings, tier))
    for name in names:
        if name in models:
            return models.index(name)
    plain = [_plain(model) for model in models]
    for name in names:
        if (short := _plain(name)) in plain:
            return plain.index(short)
    return None


def _names(settings: Settings, tier: str) -> Iterator[str]:
    given: Mapping[str, str] = settings.classifier.models
    if tier in given:
        yield given[tier]
        return
    yield tier
    pools = settings.tiers[tier].pools
    yield from pools
    for name in pools:
        yield settings.pools[name].model


def _plain(name: str) -> str:
    return name.rpartition("/")[2].lower()
