"""Who may come in."""

from hashlib import sha256

import msgspec
import pytest

from pointsman.core.request import Caller
from pointsman.core.settings import KeySettings, ServerSettings
from pointsman.errors import Forbidden, MisdirectedHost, Unauthorized
from pointsman.server.auth import Hosts, Keys, is_loopback
from pointsman.testing.factories import a_pool, a_settings

KEY = KeySettings("app", sha256(b"sk-app").digest(), "acme", ("auto",))


def keys(*settings: KeySettings) -> Keys:
    return Keys(a_settings(a_pool("small"), keys=settings))


@pytest.mark.parametrize(("authorization", "api_key"), [(b"Bearer sk-app", None), (b"bearer  sk-app ", None), (None, b"sk-app")])
def test_a_known_key_is_its_caller_with_the_keys_tenant(authorization, api_key):
    assert keys(KEY).caller(authorization, api_key, "8.8.8.8") == Caller("app", "acme", ("auto",), best_priority=1)


@pytest.mark.parametrize(("authorization", "api_key"), [
    (None, None), (b"Bearer ", None), (b"Bearer wrong", None), (b"Basic sk-app", None), (None, b"SK-APP"), (b"sk-app", None),
    (b"Bearer wrong", b"sk-app"),
])
def test_anything_else_is_unauthorized_even_from_this_machine(authorization, api_key):
    with pytest.raises(Unauthorized):
        keys(KEY).caller(authorization, api_key, "127.0.0.1")


@pytest.mark.parametrize(("name", "rank"), [("high", 0), ("normal", 1), ("low", 2)])
def test_a_keys_priority_is_what_it_gets_and_the_best_it_may_ask_for(name, rank):
    caller = keys(msgspec.structs.replace(KEY, priority=name)).caller(None, b"sk-app", "8.8.8.8")

    assert (caller.priority, caller.best_priority) == (rank, rank)


def test_without_keys_this_machine_is_served():
    assert keys().caller(None, None, "127.0.0.1") == Caller()


@pytest.mark.parametrize("peer", ["10.0.0.7", "8.8.8.8", "2001:db8::1", "::ffff:8.8.8.8", "nonsense"])
def test_without_keys_strangers_are_refused(peer):
    with pytest.raises(Forbidden, match=r"auth\.keys"):
        keys().caller(None, None, peer)


@pytest.mark.parametrize("peer", ["", "127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_loopback_has_many_names(peer):
    assert is_loopback(peer)


@pytest.mark.parametrize("host", [b"localhost", b"LOCALHOST:4000", b"127.0.0.1:4000", b"[::1]:4000", b"10.1.2.3", b"router.internal:80"])
def test_known_hosts_are_answered(host):
    Hosts(ServerSettings(hosts=("router.internal",))).check(host)


@pytest.mark.parametrize("host", [b"evil.example", b"localhost.evil.example:4000", b"", b"\xff\xfe"])
def test_a_name_that_somebody_else_pointed_at_us_is_misdirected(host):
    with pytest.raises(MisdirectedHost):
        Hosts(ServerSettings()).check(host)


def test_what_a_listener_is_bound_by_is_a_name_of_it():
    Hosts(ServerSettings(), "Admin.internal").check(b"admin.internal:4001")


def test_a_star_turns_the_check_off():
    Hosts(ServerSettings(hosts=("*",))).check(b"anything.example")


def reach(*, pools: tuple[str, ...] = (), regions: tuple[str, ...] = ()):
    key = KeySettings("app", sha256(b"k").digest(), pools=pools, regions=regions)
    settings = a_settings(a_pool("eu", region="eu"), a_pool("us", region="us"), a_pool("somewhere"), keys=(key,))
    return Keys(settings).caller(None, b"k", "127.0.0.1").pools


def test_a_key_without_lists_reaches_every_pool():
    assert reach() is None


def test_a_region_excludes_pools_elsewhere_and_those_that_do_not_say():
    assert reach(regions=("eu",)) == {"eu"}


def test_an_allow_list_and_a_region_both_hold():
    assert reach(pools=("eu", "us"), regions=("us", "asia")) == {"us"}
