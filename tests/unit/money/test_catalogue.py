from __future__ import annotations

import pytest

from pointsman.money.catalogue import GPUS, gpu_offer, nominal_tokens_per_s


@pytest.mark.parametrize(("written", "midpoint"), [
    ("RTX 4090", 1000.0), ("rtx4090", 1000.0), ("NVIDIA GeForce RTX 4090", 1000.0), ("A100", 500.0), ("a100-sxm4-80gb", 500.0),
    ("H100", 400.0), ("NVIDIA H100 80GB HBM3", 400.0), ("H200", None), ("L40S", None), ("", None),
])
def test_the_nominal_speed_is_the_midpoint_of_the_published_range(written: str, midpoint: float | None) -> None:
    assert nominal_tokens_per_s(written) == midpoint


@pytest.mark.parametrize(("written", "usd_per_hour", "spot"), [
    ("RTX 4090", 0.51, None), ("A100", 1.43, 1.14), ("A100-PCIe", 1.43, 1.14), ("A100 SXM4", 1.05, 0.45), ("H100", 2.40, 0.80),
    ("H200", 4.50, 1.19),
])
def test_gpu_hours_cost_what_was_published(written: str, usd_per_hour: float, spot: float | None) -> None:
    offer = gpu_offer(written)

    assert offer is not None
    assert (offer.usd_per_hour, offer.spot_usd_per_hour) == (usd_per_hour, spot)


def test_every_offer_is_found_by_its_own_name() -> None:
    assert [gpu_offer(offer.type) for offer in GPUS] == list(GPUS)
