from types import SimpleNamespace

from pointsman.cli.demonstration.summary import percentile, summaries
from pointsman.core.reply import Usage


def a_row(tier, level, ttft_s=None, cost=10):
    return SimpleNamespace(tier=tier, level=level, ttft_s=ttft_s, usage=Usage(7, 3), cost_nano_usd=cost)


def test_each_tier_has_its_share_mix_speed_and_cost():
    rows = [a_row("small", "simple", 0.1), a_row("small", "medium", 0.3), a_row("small", "simple"), a_row("large", "complex", 0.9, 50)]

    small, medium, large = summaries(rows, ["small", "medium", "large"])

    assert (small.requests, small.share, small.simple, small.medium, small.complex) == (3, 0.75, 2, 1, 0)
    assert (small.ttft_p50_s, small.ttft_p95_s, small.input_tokens, small.output_tokens, small.cost_nano_usd) == (0.1, 0.3, 21, 9, 30)
    assert (medium.requests, medium.share, medium.ttft_p50_s, medium.cost_nano_usd) == (0, 0.0, None, 0)
    assert large.cost_nano_usd == 50


def test_a_percentile_is_a_value_that_occurred():
    assert percentile([3.0, 1.0, 2.0, 4.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(1, 101)], 0.95) == 95.0
    assert percentile([], 0.5) is None
