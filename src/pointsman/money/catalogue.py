"""What rented GPUs cost and do when nobody says otherwise: published figures, with their date.

These are defaults and hints, never facts about your bill: an endpoint's own `gpu` wins, and whatever rests on a figure
from here is marked `nominal` (`gpu-nominal` in records).

Why is a GPU's speed a range? Tokens per second depend on model, batch and prompt lengths. The midpoint prices an
attempt when the configuration gives no `tokens_per_s`; a measured value is always better.
"""

from __future__ import annotations

import re

import msgspec


class GpuOffer(msgspec.Struct, frozen=True, gc=False):
    """One rentable GPU. Dollars per hour; None = not offered, or not published."""

    type: str
    words: tuple[str, ...]
    """Words that must all stand in a configured name for it to mean this GPU (lower case)."""
    usd_per_hour: float
    spot_usd_per_hour: float | None
    tokens_per_s: tuple[float, float] | None
    """Published range with the tier's models on it; None = no figure published."""
    models: str
    """The models that the range was published for."""

    @property
    def nominal(self) -> float | None:
        """Tokens per second: the midpoint of the range."""
        return None if self.tokens_per_s is None else sum(self.tokens_per_s) / 2


GPUS: tuple[GpuOffer, ...] = (
    # Prices as of 2026-04-05. The first match wins, so the narrower name stands before the wider one.
    GpuOffer("RTX 4090 24 GB", ("4090",), 0.51, None, (800.0, 1200.0), "Qwen2.5-7B, Llama-3.2-3B"),
    GpuOffer("A100 80 GB SXM4", ("a100", "sxm4"), 1.05, 0.45, (400.0, 600.0), "Qwen2.5-32B, Llama-3.1-8B"),
    GpuOffer("A100 80 GB PCIe", ("a100",), 1.43, 1.14, (400.0, 600.0), "Qwen2.5-32B, Llama-3.1-8B"),
    GpuOffer("H100 SXM5 80 GB", ("h100",), 2.40, 0.80, (300.0, 500.0), "Llama-3.3-70B, Qwen2.5-72B"),
    GpuOffer("H200 SXM5 141 GB", ("h200",), 4.50, 1.19, None, "72B FP8, 200B+ at 4 bit or less"),
)


def gpu_offer(gpu_type: str) -> GpuOffer | None:
    """The catalogue's entry for a GPU as people write it: `RTX 4090`, `a100-sxm4-80gb`, `NVIDIA H100`.

    >>> gpu_offer("nvidia A100-SXM4-80GB").usd_per_hour
    1.05
    """
    name = gpu_type.lower()
    return next((offer for offer in GPUS if all(_stands_in(name, word) for word in offer.words)), None)


def _stands_in(name: str, word: str) -> bool:
    """`4090` stands in `rtx4090ti` but not in `14090`: no digit before or after it."""
    return re.search(rf"(?<!\d){word}(?!\d)", name) is not None


def nominal_tokens_per_s(gpu_type: str) -> float | None:
    """Midpoint of the published range, in tokens per second; None = this GPU has no published figure.

    >>> nominal_tokens_per_s("RTX 4090")
    1000.0
    """
    offer = gpu_offer(gpu_type)
    return None if offer is None else offer.nominal
