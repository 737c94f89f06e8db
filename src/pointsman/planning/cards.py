"""GPUs and slices of them, as an engine sees them: how much memory, and which arithmetic."""

from __future__ import annotations

import re

import msgspec


class Card(msgspec.Struct, frozen=True):
    """One GPU, or one MIG slice."""

    name: str
    words: tuple[str, ...]
    """Words that must all stand in what a person writes."""
    memory_gib: float
    """Total, as the driver reports it: less than what the box says."""
    capability: float
    """CUDA compute capability: FP8 arithmetic from 8.9 (Ada) on, FP4 from 10.0."""

    @property
    def has_fp8(self) -> bool:
        return self.capability >= 8.9


CARDS = (
    # Slices before whole cards: the narrower name wins.
    Card("H100 80 GB, MIG 3g.40gb", ("h100", "3g"), 39.5, 9.0),
    Card("H100 80 GB, MIG 2g.20gb", ("h100", "2g"), 19.6, 9.0),
    Card("H100 80 GB, MIG 1g.10gb", ("h100", "1g"), 9.75, 9.0),
    Card("A100 80 GB, MIG 3g.40gb", ("a100", "3g"), 39.25, 8.0),
    Card("A100 80 GB, MIG 2g.20gb", ("a100", "2g"), 19.5, 8.0),
    Card("A100 40 GB", ("a100", "40"), 39.4, 8.0),
    Card("RTX 4090 24 GB", ("4090",), 23.6, 8.9),
    Card("RTX 5090 32 GB", ("5090",), 31.4, 12.0),
    Card("L4 24 GB", ("l4",), 22.0, 8.9),
    Card("L40S 48 GB", ("l40s",), 44.4, 8.9),
    Card("A10G 24 GB", ("a10g",), 22.1, 8.6),
    Card("A100 80 GB", ("a100",), 79.3, 8.0),
    Card("H100 80 GB", ("h100",), 79.65, 9.0),
    Card("H200 141 GB", ("h200",), 139.8, 9.0),
    Card("B200 180 GB", ("b200",), 178.4, 10.0),
)


class UnknownCard(ValueError):
    """Not in the table."""


def card_of(name: str) -> Card:
    """The card a person means: `h100`, `RTX 4090`, `a100-80gb`, `h100 mig 3g.40gb`. Raises UnknownCard.

    >>> card_of("NVIDIA A100-SXM4-80GB").memory_gib
    79.3
    """
    text = name.lower()
    for card in CARDS:
        if all(re.search(rf"(?<![a-z\d]){word}(?!\d)", text) for word in card.words):
            return card
    raise UnknownCard(f"{name!r} is not in the table; there are {'; '.join(card.name for card in CARDS)}")
