"""Tiers over pools, and what a reload keeps."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from pointsman.core.fleet import EndpointState
from pointsman.core.settings import KeySettings, TierSettings
from pointsman.errors import CredentialRefused, NoEndpoint, UpstreamFailed
from pointsman.pools.endpoint import Vitals
from pointsman.pools.fleet import Fleet
from pointsman.testing.factories import a_pool, a_request, a_settings, an_endpoint

REQUEST = a_request()
RNG = Random(1)


def a_fleet() -> Fleet:
    """Tier `large` over pools `llama` (2 endpoints) and `qwen` (1)."""
    settings = a_settings(a_pool("llama", "http://l0/v1", "http://l1/v1"), a_pool("qwen", "http://q0/v1"))
    return Fleet(type(settings)(
        tiers={"large": TierSettings("large", ("llama", "qwen"))}, pools=settings.pools, routes=settings.routes,
    ))  # fmt: skip


def take(fleet, now=1000.0, exclude=(), **how):
    return fleet.lease("large", REQUEST, exclude, now, RNG, **how)


def eject(fleet, endpoint, error=None, now=1000.0):
    pool = endpoint.partition("/")[0]
    others = set(fleet.endpoints_of_pool(pool)) - {endpoint}
    for _ in range(5):
        lease = fleet.lease_pool(pool, REQUEST, others, now, RNG, desperate=True)
        lease.close("failed", now, error or UpstreamFailed("500"))


def test_the_first_pool_that_has_an_endpoint_gives_it():
    fleet = a_fleet()
    assert {take(fleet).endpoint.pool for _ in range(8)} == {"llama"}
    assert take(fleet, exclude={"llama/0", "llama/1"}).endpoint.id == "qwen/0"


def test_only_allowed_pools_are_asked():
    fleet = a_fleet()
    assert take(fleet, allowed_pools={"qwen"}).endpoint.id == "qwen/0"
    with pytest.raises(NoEndpoint, match="'large'"):
        take(fleet, allowed_pools=set())


def test_a_healthy_endpoint_of_a_later_pool_goes_before_an_ejected_one_of_the_first():
    fleet = a_fleet()
    eject(fleet, "llama/0")
    eject(fleet, "llama/1")
    assert take(fleet, desperate=True).endpoint.id == "qwen/0"


def test_desperate_leases_go_through_the_pools_in_order():
    fleet = a_fleet()
    for endpoint in ("llama/0", "llama/1", "qwen/0"):
        eject(fleet, endpoint)
    with pytest.raises(NoEndpoint, match="tier 'large' has no endpoint to try: 3 ejected; next try in 10 s"):
        take(fleet)
    assert take(fleet, desperate=True).endpoint.pool == "llama"


def test_a_named_pool_is_leased_by_itself():
    fleet = a_fleet()
    assert fleet.lease_pool("qwen", REQUEST, (), 1000.0, RNG).endpoint.id == "qwen/0"
    with pytest.raises(NoEndpoint, match="'qwen'"):
        fleet.lease_pool("qwen", REQUEST, {"qwen/0"}, 1000.0, RNG)


def test_a_tier_is_fit_while_an_allowed_pool_is():
    fleet = a_fleet()
    eject(fleet, "qwen/0")
    assert fleet.is_fit("large", 1000.0)
    assert not fleet.is_fit("large", 1000.0, {"qwen"})


# ---------------------------------------------------------------------------------------------------------
# Reload


def reloaded(old: Fleet, *pools) -> Fleet:
    new = Fleet(a_settings(*pools))
    new.adopt(old)
    return new


def test_health_survives_a_reload_by_server_and_not_by_place():
    old = Fleet(a_settings(a_pool("small", "http://a/v1", "http://b/v1")))
    eject(old, "small/1")
    new = reloaded(old, a_pool("small", "http://b/v1", "http://c/v1"))
    assert [v.state for v in new.pools["small"].views(1000.0)] == [EndpointState.EJECTED, EndpointState.HEALTHY]


def test_leases_of_the_old_graph_return_to_zero_in_the_new_one():
    old = Fleet(a_settings(a_pool("small", "http://a/v1")))
    lease = old.lease("small", REQUEST, (), 1000.0, RNG)
    new = reloaded(old, a_pool("small", "http://a/v1"))
    assert new.in_flight == 1
    lease.close("answered", 1001.0)
    assert (new.in_flight, old.in_flight) == (0, 0)


def test_an_old_requests_exclusions_still_name_its_own_endpoints():
    old = Fleet(a_settings(a_pool("small", "http://a/v1", "http://b/v1")))
    reloaded(old, a_pool("small", "http://b/v1"))
    assert old.lease("small", REQUEST, {"small/0"}, 1000.0, RNG).endpoint.url == "http://b/v1"


def test_a_changed_credential_starts_fresh():
    old = Fleet(a_settings(a_pool("small", endpoints=(an_endpoint(api_key="old"),))))
    eject(old, "small/0", CredentialRefused("401"))
    new = reloaded(old, a_pool("small", endpoints=(an_endpoint(api_key="new"),)))
    assert new.is_fit("small", 1000.0)
    assert not old.is_fit("small", 1000.0)


def test_a_reload_gives_a_quarantined_endpoint_a_new_chance():
    old = Fleet(a_settings(a_pool("small")))
    eject(old, "small/0", CredentialRefused("401"))
    new = reloaded(old, a_pool("small"))
    assert new.lease("small", REQUEST, (), 1000.0, RNG).kind == "probe"


def test_twins_keep_their_own_vitals():
    old = Fleet(a_settings(a_pool("small", "http://a/v1", "http://a/v1")))
    eject(old, "small/1")
    new = reloaded(old, a_pool("small", "http://a/v1", "http://a/v1"))
    assert [v.state for v in new.pools["small"].views(1000.0)] == [EndpointState.HEALTHY, EndpointState.EJECTED]


def test_the_same_server_in_another_pool_is_another_endpoint():
    old = Fleet(a_settings(a_pool("small", "http://a/v1")))
    eject(old, "small/0")
    assert reloaded(old, a_pool("tiny", "http://a/v1")).is_fit("tiny", 1000.0)


def test_draining_survives_a_reload_and_still_serves_what_runs():
    old = Fleet(a_settings(a_pool("small")))
    old.drain()
    new = reloaded(old, a_pool("small"))
    assert new.is_draining
    assert new.lease("small", REQUEST, (), 1000.0, RNG).endpoint.id == "small/0"


@pytest.mark.parametrize(("tenants", "is_shared"), [((), False), (("a", "a"), False), (("a", "b"), True), (("", ""), True)])
def test_an_anteroom_knows_whether_several_tenants_may_come(tenants, is_shared):
    keys = tuple(KeySettings(f"key{n}", b"", tenant=tenant) for n, tenant in enumerate(tenants))
    settings = msgspec.structs.replace(a_settings(a_pool("small", balancer="prefix"), a_pool("large")), keys=keys)
    pools = Fleet(settings).pools
    assert (pools["small"].anteroom.is_shared, pools["large"].anteroom) == (is_shared, None)


def test_status_and_repr_tell_tiers_and_pools():
    fleet = a_fleet()
    take(fleet)
    status = fleet.status(1000.0)
    tier = status["tiers"]["large"]
    assert (tier["pools"], tier["is_fit"], tier["in_flight"]) == (["llama", "qwen"], True, 1)
    assert status["pools"]["qwen"]["healthy"] == 1
    assert repr(fleet) == "<Fleet [1 tiers, 2 pools | 1 in flight]>"


# ---------------------------------------------------------------------------------------------------------
# Is it fit right now?


def a_tiered_fleet(**pool) -> Fleet:
    return Fleet(a_settings(a_pool("small", endpoints=(an_endpoint("small/0", slots=2),), **pool)))


def test_a_full_tier_diverts_and_a_release_is_heard():
    fleet = a_tiered_fleet()
    woken = []
    fleet.on_release.append(lambda: woken.append(1))
    leases = [fleet.lease("small", REQUEST, (), 1000.0, RNG) for _ in range(2)]
    assert "saturated" in {fleet.diverts("small", 1000.0, RNG) for _ in range(50)}
    assert (fleet.fitness("small", 1000.0).reason, fleet.has_room("small", 1000.0)) == ("in_flight", False)
    assert (fleet.slots("small", 1000.0), fleet.free_slots("small", 1000.0)) == (2, 0)
    leases[0].close("answered", 1001.0)
    assert woken == [1]
    assert (fleet.has_room("small", 1001.0), fleet.has_room("small", 1001.0, 1)) == (True, False)
    assert fleet.drain_rate("small", 1001.0) == 1.0


def test_a_pool_may_be_asked_for_by_its_own_name():
    fleet = a_fleet()
    assert fleet.fitness("qwen", 1000.0).is_fit
    assert fleet.slots("qwen", 1000.0) == 256
    lease = fleet.lease_pool("qwen", REQUEST, (), 1000.0, RNG)
    lease.close("answered", 1001.0)
    assert fleet.drain_rate("qwen", 1001.0) == fleet.drain_rate("large", 1001.0) == 1.0
    assert fleet.drain_rate("llama", 1001.0) is None


def test_of_a_name_that_is_none_nothing_is_known():
    fleet = a_fleet()
    assert fleet.fitness("other", 1000.0).is_fit
    assert fleet.diverts("other", 1000.0, RNG) is None
    assert fleet.has_room("other", 1000.0)
    assert (fleet.slots("other", 1.0), fleet.free_slots("other", 1.0), fleet.drain_rate("other", 1.0)) == (None,) * 3
    assert fleet.ttft_p95("other", 1000.0) is None


def test_answers_of_a_pinned_pool_count_for_the_tiers_over_it():
    fleet = a_fleet()
    for _ in range(5):
        lease = fleet.lease_pool("qwen", REQUEST, (), 1000.0, RNG)
        lease.began(1000.0, 0.3)
    assert fleet.ttft_p95("large", 1000.0) == pytest.approx(0.3, rel=0.02)
    assert fleet.ttft_p95("llama", 1000.0) is None


def test_each_pool_has_the_balancer_that_it_names():
    settings = a_settings(a_pool("small", "http://a/v1", "http://b/v1", balancer="round_robin"), a_pool("large"))
    fleet = Fleet(settings)
    assert [fleet.lease("small", REQUEST, (), 1000.0, RNG).endpoint.id for _ in range(3)] == ["small/0", "small/1", "small/0"]


def test_saturation_and_windows_survive_a_reload():
    old = a_tiered_fleet()
    leases = [old.lease("small", REQUEST, (), 1000.0, RNG) for _ in range(2)]
    assert not old.fitness("small", 1000.0).is_fit
    new = reloaded(old, a_pool("small", endpoints=(an_endpoint("small/0", slots=2),)))
    assert new.fitness("small", 1000.0).reason == "in_flight"
    leases[0].close("answered", 1001.0)
    assert new.drain_rate("small", 1001.0) == 1.0


def test_a_server_that_is_new_after_a_reload_starts_slowly_and_a_whole_new_pool_does_not():
    old = Fleet(a_settings(a_pool("small", "http://a/v1")))
    new = reloaded(old, a_pool("small", "http://a/v1", "http://b/v1"), a_pool("large"))
    assert [view.weight for view in new.pools["small"].views(1000.0)] == [1.0, 0.1]
    assert [view.weight for view in new.pools["large"].views(1000.0)] == [1.0]


def test_what_was_sent_where_survives_a_reload_that_moves_the_servers():
    def asked(fleet: Fleet) -> str:
        lease = fleet.lease("small", a_request("Where is my parcel? " * 200), (), 1000.0, RNG)
        lease.close("answered", 1000.0)
        return lease.endpoint.url

    urls = [f"http://{name}/v1" for name in "abcd"]
    old, fresh = (Fleet(a_settings(a_pool("small", *urls, balancer="prefix"))) for _ in range(2))
    eject(old, f"small/{urls.index(asked(fresh))}")  # where it would go unknown
    home = asked(old)
    new = reloaded(old, a_pool("small", *reversed(urls), balancer="prefix"))
    for endpoint in new.pools["small"].endpoints:
        endpoint.vitals = Vitals()

    assert asked(new) == home != asked(fresh)
