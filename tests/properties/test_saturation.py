"""Whatever the signals, a tier changes its mind at most twice a minute, and keeps its probes."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from pointsman.core.fleet import LoadReport
from pointsman.core.settings import SaturationSettings, SlaSettings, TierSettings
from pointsman.pools.balancers.power_of_two import PowerOfTwo
from pointsman.pools.pool import Pool
from pointsman.pools.saturation import Breach, Saturation
from pointsman.pools.tier import Tier
from pointsman.testing.factories import a_pool, a_request, an_endpoint

BREACHES = tuple(Breach(reason, reason) for reason in ("waiting", "kv", "in_flight", "ttft"))
STREAM = a_request(stream=True)


def assert_at_most_two_in_any_minute(changes: list[float]) -> None:
    assert all(third - first >= 60.0 for first, third in zip(changes, changes[2:], strict=False))


@given(
    st.lists(
        st.tuples(st.floats(0.0, 20.0), st.sampled_from([None, *BREACHES]), st.booleans(), st.booleans()),
        max_size=200,
    ),
    st.floats(1.0, 30.0),
)
def test_at_most_two_changes_fall_into_any_minute(looks, leave_after_s):
    settings = SaturationSettings(leave_after_s=leave_after_s)
    saturation, now, changes = Saturation(settings), 1000.0, []
    for passed, breach, calm, settled in looks:
        now += passed
        was = saturation.is_diverting
        if was:
            saturation.step(now, breach, calm=calm, settled=settled)
        elif breach is not None:
            saturation.breached(breach, now)
        if saturation.is_diverting != was:
            changes.append(now)
            assert saturation.since == now
        assert (saturation.breach is not None) == saturation.is_diverting
        assert settings.probe_share <= saturation.share <= 1.0
    assert_at_most_two_in_any_minute(changes)


signals = st.lists(
    st.one_of(
        st.tuples(st.just("report"), st.integers(0, 1), st.sampled_from([None, 0, 4, 5, 50]),
                  st.sampled_from([None, 0.1, 0.8, 0.95])),
        st.tuples(st.just("lease"), st.floats(0.0, 3.0), st.just(0), st.just(0)),
        st.tuples(st.just("close"), st.integers(0, 9), st.sampled_from(["answered", "failed", "cancelled"]), st.just(0)),
        st.tuples(st.just("pass"), st.sampled_from([0.05, 0.5, 2.0, 7.0, 16.0]), st.just(0), st.just(0)),
        st.tuples(st.just("drain"), st.integers(0, 1), st.booleans(), st.just(0)),
    ),
    max_size=150,
)  # fmt: skip


@given(signals, st.integers(0, 5))
def test_a_tier_of_live_endpoints_never_flaps_and_its_answers_agree(signals, seed):
    specs = tuple(an_endpoint(f"small/{i}", f"http://h{i}/v1", slots=2) for i in range(2))
    pool = Pool(a_pool("small", endpoints=specs), PowerOfTwo())
    saturation = SaturationSettings(min_answers=3)
    tier = Tier(TierSettings("small", ("small",), SlaSettings(None, 0.5), saturation), (pool,))
    pool.watchers.tiers = (tier,)
    rng, now, leases, changes = Random(seed), 1000.0, [], []
    for name, x, y, z in signals:
        was = tier.saturation.is_diverting
        if name == "report":
            pool.observe(f"small/{x}", LoadReport(y, 1, z, at=now))
        elif name == "lease" and (lease := pool.offer(STREAM, (), now, rng)) is not None:
            lease.began(now, x)
            leases.append(lease)
        elif name == "close" and leases:
            leases.pop(x % len(leases)).close(y, now)
        elif name == "pass":
            now += x
        elif name == "drain":
            pool.drain(f"small/{x}", on=y)
        fitness, why = tier.fitness(now), tier.diverts(now, rng)
        assert fitness.is_fit == (fitness.reason == "")
        assert why in (None, "saturated", "sla")
        if why == "sla":
            assert fitness.reason == "ttft"
        free, slots = tier.free_slots(now), tier.slots(now)
        assert free is not None
        assert slots is not None
        assert 0 <= free <= slots
        assert not (tier.has_room(now, 0) and free == 0)
        if tier.saturation.is_diverting != was:
            changes.append(now)
    assert_at_most_two_in_any_minute(changes)


@given(st.floats(0.0, 0.5), st.floats(0.2, 50.0), st.integers(0, 1000))
def test_the_probes_stay_and_never_fewer_than_one_in_two_seconds(probe_share, per_s, seed):
    saturation, rng, now = Saturation(SaturationSettings(probe_share=probe_share)), Random(seed), 1000.0
    saturation.breached(BREACHES[0], now)
    stayed, last, count = 0, now, 400
    for _ in range(count):
        now += 1 / per_s
        if saturation.stays(now, rng, has_slot=True):
            stayed += 1
            last = now
        else:
            assert now - last < 2.0
        saturation.step(now, BREACHES[0], calm=False)
    at_most = probe_share * count + count / per_s / 2.0
    assert stayed >= probe_share * count - 4 * (count * 0.25) ** 0.5
    assert stayed <= at_most + 4 * (count * 0.25) ** 0.5 + 1
