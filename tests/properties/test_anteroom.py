"""Whoever comes and goes, in whatever order endpoints read: nobody is forgotten, nobody is overtaken by anybody who came much later."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from pointsman.core.request import Caller, Message, Needs
from pointsman.core.settings import PoolSettings
from pointsman.pools.balancers.load import READS_MOST_S
from pointsman.pools.balancers.prefix import Prefix
from pointsman.pools.guest import MOST_S
from pointsman.pools.pool import Pool
from pointsman.pools.shared_count import SharedCount
from pointsman.pools.shares import SHARE_WEIGHS
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
        slack_s = 10 * READS_MOST_S
        assert all(later["at"] - earlier["at"] <= MOST_S + slack_s for earlier in waiting for later in sent if later in called[-3:])
    now += MOST_S + 1.0
    room.look(now)
    serve()
    assert len(room) == 0
    assert len(called) == len({id(entry) for entry in called}) == len([entry for entry in guests if not entry["is_gone"]])
    for lease in leases:
        lease.close("cancelled", now)
    assert all((e.vitals.awaited_streams, e.vitals.awaited_tokens, e.vitals.in_flight) == (0, 0, 0) for e in pool.endpoints)


class Story:
    """A pool, who waits before it, and what became of them."""

    def __init__(self, *, is_shared: bool, slots: int | None) -> None:
        self.pool, self.rng, self.now = a_pool(), Random(1), 0.0
        self.room = self.pool.anteroom
        self.room.is_shared = is_shared
        board = memoryview(bytearray(2 * 3 * 8)).cast("q")
        for column, endpoint in enumerate(self.pool.endpoints):
            endpoint.slots = slots
            endpoint.vitals.share(SharedCount.at(board, column, 0, 2))
        self.others = [SharedCount.at(board, column, 1, 2) for column in range(3)]
        self.leases, self.waiting, self.called, self.gone, self.sent = [], [], [], [], []

    def comes(self, number: int, tokens: int, tenant: str, priority: int, limit_s: float) -> None:
        request = a_prompt(number, tokens)
        request = a_request(messages=request.messages, needs=request.needs, stream=True,
                            caller=Caller(tenant, tenant=tenant, priority=priority))
        if not self.room.must_wait(self.now):
            self.leases.append(self.pool.offer(request, (), self.now, self.rng))
            return
        entry = {"request": request, "at": self.now, "guest": None, "calls": 0, "tenant": tenant, "priority": priority}

        def call() -> None:
            entry["calls"] += 1
            self.called.append(entry)

        entry["guest"] = self.room.enter(request, self.now, call, limit_s=limit_s)
        self.waiting.append(entry)

    def serve(self, *, leave: bool = False) -> None:
        """Whoever was called takes a lease, or goes away without one."""
        while self.called:
            entry = self.called.pop(0)
            self.waiting.remove(entry)
            guest = entry["guest"]
            if not leave and guest.endpoint is not None:
                lease = self.pool.offer_at(guest.endpoint, entry["request"], self.now, self.rng) if guest.endpoint else None
                lease = lease or self.pool.offer(entry["request"], (), self.now, self.rng)
                self.leases += [lease] if lease is not None else []
            self.sent.append(entry)
            guest.leave(self.now)
            guest.leave(self.now)

    def ends(self) -> None:
        lease = self.leases.pop(0)
        lease.began(self.now, 0.1)
        lease.close("answered", self.now)


what_next = st.sampled_from(["comes", "comes", "comes", "ends", "leaves", "is called and leaves", "looks", "drains", "elsewhere"])
a_move = st.tuples(what_next, st.integers(1, 12_000), st.sampled_from("aaab"), st.integers(0, 2), st.floats(0.0, 12.0))


@given(st.lists(a_move, max_size=60), st.floats(0.5, 90.0) | st.just(float("inf")), st.booleans(), st.sampled_from([None, 1, 4]))
def test_of_several_tenants_and_priorities_nobody_is_lost_or_sent_twice_and_counts_return_to_zero(moves, limit_s, is_shared, slots):
    story = Story(is_shared=is_shared, slots=slots)
    room, pool = story.room, story.pool
    came = 0
    for number, (what, tokens, tenant, priority, after_s) in enumerate(moves):
        story.now += after_s
        if what == "comes":
            before = len(story.waiting)
            story.comes(number, tokens, tenant, priority, limit_s)
            came += len(story.waiting) - before
        elif what == "ends" and story.leases:
            story.ends()
        elif what == "leaves" and (idle := [entry for entry in story.waiting if not entry["calls"]]):
            entry = idle[tokens % len(idle)]
            story.waiting.remove(entry)
            story.gone.append(entry)
            entry["guest"].leave(story.now)
        elif what == "is called and leaves":
            story.serve(leave=True)
        elif what == "drains":
            pool.drain(pool.endpoint_ids[tokens % 3], on=bool(tokens % 2))
        elif what == "elsewhere":
            story.others[tokens % 3].set(tokens % 5)
        room.look(story.now)
        if number % 3:
            story.serve()
        assert len(room) == sum(not entry["calls"] for entry in story.waiting)
        assert sum(room.status(story.now)["tenants"].values()) == len(room)
        assert all(entry["calls"] <= 1 for entry in (*story.waiting, *story.sent, *story.gone))
        if not is_shared:
            assert all(story.now - entry["at"] < MOST_S + 0.1 for entry in story.waiting if not entry["calls"])

    for endpoint, other in zip(pool.endpoint_ids, story.others, strict=True):
        pool.drain(endpoint, on=False)
        other.set(0)
    for _ in range(2 * len(moves) + 2):  # everything is read and answered, until nobody is left
        story.now += 1.0
        story.serve()
        while story.leases:
            story.ends()
        room.look(story.now)
    story.serve()
    while story.leases:
        story.ends()
    assert (len(room), story.waiting, room.status(story.now)) == (0, [], {"waiting": 0, "oldest_s": None, "tenants": {}})
    assert len(story.sent) + len(story.gone) == came
    assert all(entry["calls"] == 1 for entry in story.sent)
    assert not any(entry["calls"] for entry in story.gone)
    for endpoint in pool.endpoints:
        vitals = endpoint.vitals
        assert (vitals.awaited_streams, vitals.awaited_tokens, vitals.in_flight, vitals.held) == (0, 0, 0, 0)


@given(st.lists(st.tuples(st.sampled_from(["hog", "hog", "hog", "b", "c"]), st.integers(50, 3_000), st.floats(0.0, 1.0)), min_size=5, max_size=60))
def test_while_two_tenants_wait_neither_is_read_much_more_than_the_other(coming):
    """One endpoint, one prompt at a time. The bound: all that a place in the order is worth, by what a second of share weighs."""
    story = Story(is_shared=True, slots=1)
    for endpoint in story.pool.endpoint_ids[1:]:
        story.pool.drain(endpoint)
    story.comes(0, 2_000, "hog", 1, float("inf"))
    for number, (tenant, tokens, after_s) in enumerate(coming):
        story.now += after_s
        story.comes(number + 1, tokens, tenant, 1, float("inf"))
    first, last = min((e["at"] for e in story.waiting), default=0.0), story.now
    read = dict.fromkeys(("hog", "b", "c"), 0.0)
    most = max(tokens for _, tokens, _ in coming) * TOKEN_S
    while True:
        waiting = {entry["tenant"] for entry in story.waiting}
        if len(waiting) < 2:
            break
        while story.leases:
            story.ends()
        story.room.look(story.now)
        assert len(story.called) == 1
        entry = story.called[0]
        read[entry["tenant"]] += max(0.003, entry["request"].needs.context * TOKEN_S)
        story.serve()
        if len({entry["tenant"] for entry in story.waiting}) == len(waiting) == 3:
            spread = (last - first + 2 * MOST_S + 10.0) / SHARE_WEIGHS * 3
            assert max(read.values()) - min(read.values()) <= spread + 2 * most
