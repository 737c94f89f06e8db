"""Whatever fails, leases return to zero; whatever a client sends, no endpoint is ejected for it."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import errors
from pointsman.core.fleet import EndpointState
from pointsman.core.settings import HealthSettings
from pointsman.errors import NoEndpoint
from pointsman.pools.balancers.power_of_two import PowerOfTwo
from pointsman.pools.balancers.round_robin import RoundRobin
from pointsman.pools.fleet import Fleet
from pointsman.pools.health import NEW, Signal, probe, step
from pointsman.testing.factories import a_pool, a_request, a_settings

ERRORS = (
    None,
    errors.ConnectFailed("refused", sent=False),
    errors.ConnectionLost("reset"),
    errors.AnswerTimeout("late"),
    errors.UpstreamFailed("500"),
    errors.UpstreamOverloaded("full"),
    errors.RateLimited("429"),
    errors.RateLimited("429", retry_after_s=5.0),
    errors.CredentialRefused("401"),
    errors.Misconfigured("404"),
    errors.RequestRefused("400"),
)
URLS = tuple(f"http://host{i}/v1" for i in range(4))

steps = st.lists(
    st.one_of(
        st.tuples(st.just("lease"), st.booleans(), st.sets(st.sampled_from([f"small/{i}" for i in range(4)]))),
        st.tuples(
            st.just("close"), st.integers(0, 50),
            st.tuples(
                st.sampled_from(["answered", "failed", "rejected", "cancelled"]), st.sampled_from(ERRORS)
            ),
        ),
        st.tuples(st.just("began"), st.integers(0, 50), st.none()),
        st.tuples(st.just("pass"), st.sampled_from([0.1, 1.0, 10.0, 120.0]), st.none()),
        st.tuples(st.just("reload"), st.permutations(URLS), st.none()),
        st.tuples(st.just("drain"), st.booleans(), st.none()),
    ),
    max_size=60,
)  # fmt: skip


@given(steps, st.sampled_from([PowerOfTwo, RoundRobin]), st.integers(0, 9))
def test_whatever_fails_leases_return_to_zero(steps, balancer, seed):
    fleet, rng, now = Fleet(a_settings(a_pool("small", *URLS)), balancer), Random(seed), 1000.0
    fleets, leases = [fleet], []
    for name, x, y in steps:
        if name == "lease":
            try:
                lease = fleet.lease("small", a_request(), y, now, rng, desperate=x)
            except NoEndpoint:
                continue
            assert lease.endpoint.id not in y
            leases.append(lease)
        elif name == "close" and leases:
            leases[x % len(leases)].close(y[0], now, y[1])
        elif name == "began" and leases:
            leases[x % len(leases)].began(now, 0.1)
        elif name == "pass":
            now += x
        elif name == "reload":
            old, fleet = fleet, Fleet(a_settings(a_pool("small", *x)), balancer)
            fleet.adopt(old)
            fleets.append(fleet)
        elif name == "drain":
            fleet.pools["small"].drain("small/0", on=x)
        assert fleet.in_flight == sum(not lease.is_closed for lease in leases)
        probes = [lease for lease in leases if not lease.is_closed and lease.kind == "probe"]
        probing = [v for v in fleet.pools["small"].views(now) if v.state is EndpointState.PROBING]
        assert len(probing) <= len(probes), "an endpoint waits for a probe that nobody makes"
    for lease in leases:
        lease.close("cancelled", now)
    for each in fleets:
        assert each.in_flight == 0
        assert all(v.in_flight_tokens == 0 for v in each.pools["small"].views(now))
        assert not [v for v in each.pools["small"].views(now) if v.state is EndpointState.PROBING]


@given(
    st.lists(st.tuples(st.sampled_from([Signal.ALIVE, Signal.RATE_LIMITED, Signal.OVERLOADED, Signal.NOTHING]),
                       st.floats(0, 10), st.one_of(st.none(), st.floats(-10, 1e9))))
)  # fmt: skip
def test_neither_bad_requests_nor_load_ever_eject_and_no_cooldown_is_longer_than_a_minute(signals):
    health, now = NEW, 1000.0
    for signal, passed, retry_after_s in signals:
        now += passed
        health = step(health, signal, now, HealthSettings(), retry_after_s=retry_after_s)
        assert health.state is EndpointState.HEALTHY
        assert health.open_at <= now + 60.0


@given(
    st.lists(
        st.tuples(st.sampled_from(Signal), st.sampled_from(["ordinary", "probe", "desperate"]), st.floats(0, 30)),
        max_size=80,
    )
)
def test_nobody_is_out_of_service_for_longer_than_two_minutes_without_a_probe(signals):
    health, now, settings = NEW, 1000.0, HealthSettings()
    for signal, kind, passed in signals:
        now += passed
        if kind == "probe":
            if health.state is not EndpointState.EJECTED or health.open_at > now:
                continue
            health = probe(health)
        health = step(health, signal, now, settings, kind=kind)
        assert health.state is not EndpointState.PROBING
        assert health.open_at <= now + settings.eject_max_s
        assert (health.state is EndpointState.HEALTHY) == (health.cause == "")


@given(st.integers(1, 5), st.integers(0, 99))
def test_the_last_way_to_answer_is_never_closed(count, seed):
    fleet, rng = Fleet(a_settings(a_pool("small", *URLS[:count]))), Random(seed)
    for _ in range(60):
        lease = fleet.lease("small", a_request(), (), 1000.0, rng, desperate=True)
        lease.close("failed", 1000.0, rng.choice([e for e in ERRORS if e is None or e.retry_after_s is None]))
    assert fleet.lease("small", a_request(), (), 1000.0, rng, desperate=True)
    with pytest.raises(NoEndpoint):
        fleet.lease("small", a_request(), fleet.endpoints_of_pool("small"), 1000.0, rng, desperate=True)
