"""Whoever waits: the one that is found without asking everybody is the one that asking everybody finds."""

from __future__ import annotations

from math import inf
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.core.request import Message
from pointsman.pools.balancers.beginnings import read
from pointsman.pools.guest import MOST_S, Guest
from pointsman.pools.guests import OVERDUE_SEEN, Guests
from pointsman.pools.shares import Shares
from pointsman.testing.factories import a_request

ENDPOINTS = ("p/0", "p/1", "p/2")

some_tokens = st.one_of(st.sampled_from([0, 1, 64, 100, 120, 200, 250, 1_000, 1_024, 4_000]), st.integers(0, 30_000))
a_guest = st.tuples(
    some_tokens,
    st.dictionaries(st.sampled_from(ENDPOINTS), st.one_of(some_tokens, st.sampled_from([10, 50, 60, 90])), max_size=3),
    st.sampled_from([0.0, 0.01, 0.1, 0.3, 0.6, 2.0]),  # after the one before
    st.sampled_from(["a", "a", "b"]), st.sampled_from([1, 1, 0, 2]), st.sampled_from([inf, inf, 3.0, 40.0]))
a_step = st.sampled_from(["leave first", "leave last", "late", "old", "tell"])
some_homes = st.fixed_dictionaries({}, optional={
    id_: st.tuples(st.sampled_from([0.0001, 0.0002, 0.0006]), st.sampled_from([0.0, 0.1, 0.29, 4.0])) for id_ in ENDPOINTS})


def everybody_asked(guests, endpoint, token_s, now, homes, standing, best):
    """The lowest rank of all, and of equals who came first; of those who hold on, the oldest of each tenant."""
    held = [guest for guest in guests if now - guest.at >= MOST_S and guest.is_held]
    few = [guest for tenant in ("a", "b") for guest in [one for one in held if one.tenant == tenant][:OVERDUE_SEEN]]
    others = [guest for guest in guests if guest not in held]
    found = None
    for guest in sorted([*few, *others], key=lambda guest: guest.number):
        rank = guest.rank(endpoint, token_s, now, homes, standing.behind(guest.tenant, guest.priority, guest.at))
        if rank < best:
            best, found = rank, guest
    return found


class Visitor(Guest):
    """One that says whether it holds on."""

    is_held = False


def gone(guest: Guest, now: float) -> None:
    """It has left."""


@settings(deadline=None)  # shared machines pause
@given(st.lists(a_guest, min_size=1, max_size=40), st.lists(a_step, max_size=4), st.lists(st.tuples(some_homes, st.sampled_from([0.0, 0.1, 1.0, 3.0, 9.0, 31.0])), min_size=1, max_size=3),
       st.booleans(), st.sampled_from([0.0, 0.4]), st.sampled_from([inf, inf, 5.0]))
def test_who_is_next_is_who_asking_everybody_finds(crowd, steps, looks, is_shared, given_s, best):
    guests, shares, now, all_ = Guests(), Shares(), 0.0, []
    begun = read(a_request(messages=(Message("user", "word " * 40),)))
    for tokens, known, after_s, tenant, priority, until in crowd:
        now += after_s
        known = {id_: min(tokens, some) for id_, some in known.items() if min(tokens, some)}
        guest = Visitor(now, tokens, begun, known, lambda: None, gone, until=until, tenant=tenant if is_shared else "a",
                        priority=priority if is_shared else 1)
        guests.add(guest)
        shares.come(guest.tenant, guest.priority)
        all_.append(guest)
    shares.give("a", given_s)
    for homes, after_s in looks:
        now += after_s
        for step in steps:
            if step == "leave first" and all_:
                take(guests, shares, all_, all_[0])
            elif step == "leave last" and all_:
                take(guests, shares, all_, all_[-1])
            elif step == "late":
                for guest in guests.late(now):
                    take(guests, shares, all_, guest)
            elif step == "old":
                for guest in guests.old(now):
                    guest.is_held = True
                    guests.hold_on(guest)
            elif step == "tell":
                guests.tell({number for number, _ in begun.parts}, "p/1")
        assert len(guests) == len(all_)
        assert set(guests) == set(all_)
        assert guests.oldest() is (all_[0] if all_ else None)
        standing = shares.standing(now)
        for endpoint, (token_s, _) in homes.items():
            found = guests.next(endpoint, token_s, now, homes, standing, best)
            assert (None if found is None else found[1]) is everybody_asked(all_, endpoint, token_s, now, homes, standing, best)
    for guest in list(all_):
        take(guests, shares, all_, guest)
        assert not guests.remove(guest)
    assert repr(guests) == "<Guests [0 waiting, 0 lines]>"


@settings(deadline=None)  # shared machines pause
@given(st.integers(0, 2**32 - 1))
def test_of_a_crowd_each_next_one_is_who_asking_everybody_finds(seed):
    rng, guests, shares = Random(seed), Guests(), Shares()
    begun, all_, now, pace = read(a_request()), [], 0.0, rng.choice([0.02, 0.1, 0.3])
    scale = rng.choice([40, 300, 3_000])
    for _ in range(80):
        now += rng.expovariate(1 / pace)
        tokens = int(scale * rng.uniform(0.5, 2.0))
        known = {id_: int(tokens * rng.choice([0.05, 0.5, 0.9])) for id_ in ENDPOINTS if rng.random() < 0.4}
        guest = Visitor(now, tokens, begun, known, lambda: None, gone, until=inf, tenant="a")
        guests.add(guest)
        shares.come("a", 1)
        all_.append(guest)
    while all_:
        homes = {id_: (rng.choice([0.0001, 0.0002, 0.0006]), rng.choice([0.0, 0.1, 4.0])) for id_ in ENDPOINTS if rng.random() < 0.9}
        best, chosen, expected = inf, None, None
        for id_, (token_s, _) in homes.items():
            standing = shares.standing(now)
            if (asked := everybody_asked(all_, id_, token_s, now, homes, standing, best)) is not None:
                expected = asked
            if (found := guests.next(id_, token_s, now, homes, standing, best)) is not None:
                best, chosen = found
            assert chosen is expected
        take(guests, shares, all_, chosen or all_[0])
        now += rng.choice([0.0, 0.1, 0.5])


def take(guests: Guests, shares: Shares, all_: list, guest: Guest) -> None:
    assert guests.remove(guest)
    shares.go(guest.tenant, guest.priority)
    all_.remove(guest)
