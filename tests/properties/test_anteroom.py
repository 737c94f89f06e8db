"""Whoever comes and goes, in whatever order endpoints read: nobody is forgotten, nobody is overtaken by anybody who came much later."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from pointsman.core.request import Message, Needs
from pointsman.core.settings import PoolSettings
from pointsman.pools.anteroom import MOST_S, READS_S
from pointsman.pools.balancers.prefix import Prefix
from pointsman.pools.pool import Pool
from pointsman.testing.factories import a_request, an_endpoint

TOKEN_S = 0.0002


def a_pool() -> Pool:
    pool = Pool(PoolSettings("p", "m", tuple(an_endpoint(f"p/{i}", f"http://10.0.0.{i}/v1", slots=None) for i in range(3))), Prefix())
    for endpoint in pool.endpoints:
        for ahead in range(100, 3_000, 100):
            endpoint.vitals.forecast.learn(ahead, 0.05 + ahead * TOKEN_S)
    return pool


def a_prompt(number: int, tokens: int):
    text = f"{number % 4} " * tokens
    return a_request(messages=(Message("user", text),), needs=Needs(context=tokens), stream=True)


# What happens next: somebody comes with so many tokens, the oldest stream begins, the newest guest leaves; and how long after.
a_step = st.tuples(st.sampled_from(["comes", "comes", "begins", "leaves"]), st.integers(1, 12_000), st.floats(0.0, 3.0))


@given(st.lists(a_step, max_size=40), st.floats(0.5, 20.0) | st.none())
def test_everybody_is_called_once_and_nobody_much_later_than_those_who_came_after(steps, limit_s):
    pool, rng, now = a_pool(), Random(1), 0.0
    room = pool.anteroom
    leases, guests, called = [], [], []

    def go(entry):
        called.append(entry)

    def serve():
        while waiting := [entry for entry in called if not entry["done"]]:
            for entry in waiting:
                entry["done"] = True
                guest = entry["guest"]
                if guest.endpoint is not None:
                    leases.append(pool.offer_at(guest.endpoint, entry["request"], now, rng) if guest.endpoint else
                                  pool.offer(entry["request"], (), now, rng))
                guest.leave(now)

    for number, (what, tokens, after_s) in enumerate(steps):
        now += after_s
        if what == "comes":
            request = a_prompt(number, tokens)
            if not room.must_wait(now):
                leases.append(pool.offer(request, (), now, rng))
            else:
                entry = {"request": request, "at": now, "done": False, "guest": None, "is_gone": False}
                guests.append(entry)
                entry["guest"] = room.enter(request, now, lambda entry=entry: go(entry), limit_s=float("inf") if limit_s is None else limit_s)
        elif what == "begins" and leases:
            lease = leases.pop(0)
            lease.began(now, 0.1)
            lease.close("answered", now)
        elif what == "leaves" and (waiting := [entry for entry in guests if entry not in called and not entry["is_gone"]]):
            waiting[-1]["is_gone"] = True
            waiting[-1]["guest"].leave(now)
        room.look(now)
        serve()
        waiting = [entry for entry in guests if entry not in called and not entry["is_gone"]]
        sent = [entry for entry in called if entry["guest"].endpoint is not None]
        # A wait at the endpoint itself may weigh half of `OVERTAKEN` times what it has to read.
        slack_s = 10 * READS_S
        assert all(later["at"] - earlier["at"] <= MOST_S + slack_s for earlier in waiting for later in sent if later in called[-3:])
    now += MOST_S + 1.0
    room.look(now)
    serve()
    assert len(room) == 0
    assert len(called) == len({id(entry) for entry in called}) == len([entry for entry in guests if not entry["is_gone"]])
    for lease in leases:
        lease.close("cancelled", now)
    assert all((e.vitals.awaited_streams, e.vitals.awaited_tokens, e.vitals.in_flight) == (0, 0, 0) for e in pool.endpoints)
