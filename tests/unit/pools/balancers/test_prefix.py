"""Requests that begin alike on the same endpoint, as long as that is no burden."""

from __future__ import annotations

from collections import Counter
from random import Random

import msgspec

from pointsman.core.fleet import EndpointState, EndpointView
from pointsman.core.request import ChatRequest, Message, Needs
from pointsman.pools.balancers.beginnings import read
from pointsman.pools.balancers.prefix import LEAST_MEAN, OTHERS, RUNNING, Prefix
from pointsman.pools.balancers.rendezvous import ranked
from pointsman.pools.journal import CELLS, Journal
from pointsman.testing.factories import a_request

RNG = Random(1)
POOL = tuple(EndpointView(f"small/{n}", EndpointState.HEALTHY, 0, 0, None, key=n * 7919) for n in range(8))


def asking(*turns: str, system: str = "", out: int = 100) -> ChatRequest:
    said = [Message("system", system)] if system else []
    said += [Message("assistant" if at % 2 else "user", text) for at, text in enumerate(turns)]
    size = sum(len(message.text.encode()) for message in said)
    return a_request(messages=tuple(said), needs=Needs(context=size // 3 + out))


def busy(endpoint: str, tokens: int, **more) -> tuple[EndpointView, ...]:
    """The pool, with something to do at one endpoint."""
    return tuple(
        msgspec.structs.replace(view, in_flight=5, in_flight_tokens=tokens, **more) if view.id == endpoint else view
        for view in POOL
    )


def queued(tokens: dict[str, int], *, token_s: float = 0.0002, **more) -> tuple[EndpointView, ...]:
    """The pool, with so many tokens to read before a newcomer."""
    return tuple(
        msgspec.structs.replace(
            view, in_flight=5, in_flight_tokens=tokens[view.id], awaited_tokens=tokens[view.id], token_s=token_s,
            wait_s=tokens[view.id] * token_s, **more,
        ) if view.id in tokens else msgspec.structs.replace(view, token_s=token_s)
        for view in POOL
    )  # fmt: skip


def serve(balancer: Prefix, requests, *, stay: int) -> Counter[str]:
    """Each request stays while `stay` others come; how many each endpoint got."""
    flying: list[tuple[str, int]] = []
    load: Counter[str] = Counter()
    began: Counter[str] = Counter()
    for request in requests:
        views = [
            msgspec.structs.replace(v, in_flight=sum(name == v.id for name, _ in flying), in_flight_tokens=load[v.id])
            for v in POOL
        ]
        chosen = balancer.pick(request, views, RNG)
        began[chosen] += 1
        load[chosen] += request.needs.context
        flying.append((chosen, request.needs.context))
        if len(flying) > stay:
            name, tokens = flying.pop(0)
            load[name] -= tokens
    return began


def test_a_conversation_goes_home():
    balancer, question = Prefix(), "Where is my parcel? " * 50
    home = balancer.pick(asking(question), POOL, RNG)
    assert balancer.pick(asking(question, "On its way.", "When?"), queued({home: 300}), RNG) == home


def test_it_leaves_home_when_the_queue_there_is_longer_than_reading_it_again_twice_and_then_has_two():
    balancer, question = Prefix(), "x" * 3_000
    home = balancer.pick(asking(question), POOL, RNG)
    worth = 1_000 * (1 + OTHERS)
    assert balancer.pick(asking(question, "a", "b"), queued({home: int(worth * 0.8)}), RNG) == home
    other = balancer.pick(asking(question, "a", "b"), queued({home: int(worth * 1.3)}), RNG)
    assert other != home
    assert balancer.pick(asking(question, "a", "b"), queued({home: 100}), RNG) == other


def test_where_a_wait_makes_late_it_is_the_same_choice_however_fast_the_engines_read():
    for token_s in (0.0005, 0.01):
        balancer, question = Prefix(), "x" * 3_000
        home = balancer.pick(asking(question), POOL, RNG)
        assert balancer.pick(asking(question), queued({home: int(1_000 * (0.9 + OTHERS))}, token_s=token_s), RNG) == home
        assert balancer.pick(asking(question), queued({home: int(1_000 * (1.3 + OTHERS))}, token_s=token_s), RNG) != home


def test_who_can_wait_at_home_and_still_be_in_time_does_although_that_is_longer_than_reading_it_again():
    balancer, question = Prefix(), "x" * 3_000
    home = balancer.pick(asking(question), POOL, RNG)
    longer = int(1_000 * (5 + OTHERS))
    assert balancer.pick(asking(question), queued({home: longer}, token_s=0.00003), RNG) == home  # 0.45 s
    assert balancer.pick(asking(question), queued({home: longer}, token_s=0.0001), RNG) != home  # 1.5 s


def test_but_no_longer_than_a_hundred_times_what_it_saves():
    balancer, question = Prefix(), "x" * 300
    home = balancer.pick(asking(question), POOL, RNG)
    assert balancer.pick(asking(question), queued({home: 9_000}, token_s=0.00001), RNG) == home
    assert balancer.pick(asking(question), queued({home: 11_000}, token_s=0.00001), RNG) != home


def test_nor_for_less_than_a_fifth_of_it_nor_where_too_much_runs():
    for known, running, is_kept in ((600, False, True), (600, True, False), (110, False, False)):
        balancer, text = Prefix(), "word " * known + "else " * (600 - known)
        home = balancer.pick(asking("word " * 600), POOL, RNG)
        wait = queued({home: 15_000}, token_s=0.00001)
        assert (balancer.pick(asking(text), under_way(home, wait) if running else wait, RNG) == home) is is_kept


def test_what_it_says_is_unread_is_what_the_chosen_endpoint_is_not_thought_to_have():
    balancer, question = Prefix(), "x" * 3_000
    balancer.pick(asking(question, out=0), POOL, RNG)
    assert balancer.unread == 1_000
    balancer.pick(asking(question, "y" * 300, "z" * 600, out=0), POOL, RNG)
    assert balancer.unread == 300


def crowded(late: str, tokens: int) -> tuple[EndpointView, ...]:
    """Every queue is some prompts long, one of them endless."""
    return queued({view.id: 50 * LEAST_MEAN * 60 if view.id == late else tokens for view in POOL})


def test_where_all_queues_are_long_what_takes_long_to_read_stands_in_the_longest_and_the_rest_in_the_others():
    late = "small/3"
    assert Prefix().pick(asking("x" * 30_000), crowded(late, 20 * LEAST_MEAN), RNG) == late
    assert Prefix().pick(asking("x" * 300), crowded(late, 20 * LEAST_MEAN), RNG) != late


def test_as_long_as_some_endpoint_is_idle_nobody_stands_in_a_long_queue():
    balancer, late = Prefix(), "small/3"
    for n in range(200):
        balancer.pick(asking(f"usual {n} " * 200), POOL, RNG)
    views = (POOL[0], *crowded(late, 20_000)[1:])
    assert all(balancer.pick(asking(f"{n} " + "x" * size), views, RNG) == POOL[0].id for n, size in enumerate((300, 3_000, 120_000)))


def under_way(endpoint: str, views: tuple[EndpointView, ...]) -> tuple[EndpointView, ...]:
    """With long answers that run there."""
    return tuple(msgspec.structs.replace(view, in_flight_tokens=view.in_flight_tokens + 200_000) if view.id == endpoint else view for view in views)


def test_while_an_endpoint_would_begin_at_once_nobody_stands_in_a_queue_for_what_runs_there():
    others = {view.id: 3_000 for view in POOL if view.id != "small/3"}
    assert Prefix().pick(asking("What is a lease?"), under_way("small/3", queued(others)), RNG) == "small/3"
    others["small/3"] = 1_600  # 0.32 s to read: no room there either, and what runs counts
    assert Prefix().pick(asking("What is a lease?"), under_way("small/3", queued(others)), RNG) != "small/3"


def test_who_has_a_home_may_stand_in_its_queue_all_the_same():
    balancer, text = Prefix(), "word " * 4_000
    home = balancer.pick(asking(text), POOL, RNG)
    assert balancer.pick(asking(text, "Yes.", "Go on."), queued({home: 2_000}), RNG) == home
    others = {view.id: 2_000 for view in POOL if view.id != "small/3"}
    known_in_part = asking("word " * 500 + "else " * 3_500)  # an eighth is no home
    free = next(view.id for view in POOL if view.id != home)
    busy_home = queued({**others, home: 2_000})
    assert balancer.pick(known_in_part, tuple(view if view.id != free else next(v for v in POOL if v.id == free) for view in busy_home), RNG) == free


def test_answers_under_way_spread_where_nobody_waits():
    running = int(2_000 / RUNNING)
    balancer, question = Prefix(), "x" * 300
    home = balancer.pick(asking(question), POOL, RNG)
    assert balancer.pick(asking(question), busy(home, running), RNG) != home


def test_questions_about_one_document_meet_although_they_part_within_a_message():
    balancer, document = Prefix(), "".join(f"{n} " for n in range(3_000))
    home = balancer.pick(asking(document + "Who?"), POOL, RNG)
    assert balancer.pick(asking(document + "Where is it said that he came too late?"), queued({home: 5_000}), RNG) == home


def test_however_long_a_beginning_is_it_gathers_a_bounded_load():
    balancer, book = Prefix(), "".join(f"{n} " for n in range(20_000))
    size = len(book.encode()) // 3
    home = balancer.pick(asking(book), POOL, RNG)
    assert balancer.pick(asking(book), queued({home: int((1.1 + OTHERS) * size)}), RNG) != home
    balancer = Prefix()
    home = balancer.pick(asking(book), POOL, RNG)
    assert balancer.pick(asking(book), busy(home, int((1.1 + OTHERS) * size / RUNNING)), RNG) != home


def test_what_everybody_asks_spreads_by_load():
    began = serve(Prefix(), [asking("the same " * 300) for _ in range(4_000)], stay=400)
    assert len(began) == 8
    assert max(began.values()) < 1.25 * 4_000 / 8


def test_a_system_prompt_that_everybody_has_leaves_conversations_to_load_and_each_at_home():
    balancer, system = Prefix(), "Everybody's. " * 100
    began = serve(balancer, [asking(f"question {n} " * 20, system=system) for n in range(1_600)], stay=160)
    assert max(began.values()) < 1.25 * 200
    late = [asking(f"question {n} " * 20, system=system) for n in range(1_600, 1_640)]
    home = [balancer.pick(request, POOL, RNG) for request in late]
    again = [balancer.pick(asking(f"question {n} " * 20, "answer", "and?", system=system), POOL, RNG) for n in range(1_600, 1_640)]
    assert again == home


def test_a_full_home_keeps_whom_it_is_worth_it_until_it_has_half_again_and_nobody_else():
    long, short = "x" * 6_000, "x" * 300
    for question, kept in ((long, 10), (short, 0)):
        balancer = Prefix()
        home = balancer.pick(asking(question), POOL, RNG)
        slots = 20
        stays = [balancer.pick(asking(question), tuple(
            msgspec.structs.replace(view, in_flight=slots + over, slots=slots) if view.id == home else view for view in POOL), RNG) == home
            for over in range(kept + 1)]
        assert stays == [True] * kept + [False]
        assert balancer.pick(asking("never heard of " * 100), busy(home, 0, slots=5), RNG) != home


def test_a_home_that_would_be_late_keeps_its_own_within_the_promise_only():
    balancer, question = Prefix(), "x" * 6_000
    home = balancer.pick(asking(question), POOL, RNG)
    assert balancer.pick(asking(question), busy(home, 100, lateness=1.5), RNG) == home
    assert balancer.pick(asking(question), busy(home, 100, lateness=2.1), RNG) != home
    assert balancer.pick(asking(question), tuple(msgspec.structs.replace(v, lateness=3.0) for v in POOL), RNG) == home  # all are


def test_what_it_knows_outlives_a_reload_under_the_servers_new_names():
    old, new, question = Prefix(), Prefix(), "x" * 6_000
    home = old.pick(asking(question), POOL, RNG)
    other = next(view.id for view in POOL if view.id != home)
    new.adopt(old, {other: home})
    assert new.pick(asking(question), POOL, RNG) == other


def test_processes_that_share_a_journal_send_a_conversation_to_one_home():
    board = memoryview(bytearray(2 * CELLS * 8)).cast("q")
    one, two = Prefix(), Prefix()
    columns = {view.id: at for at, view in enumerate(POOL)}
    for seat, balancer in enumerate((one, two)):
        balancer.share(Journal(board, seat), columns)
    question = "x" * 6_000
    first = ranked(POOL, read(asking(question)).conversation)[0].id
    home = one.pick(asking(question), queued({first: 100_000}), RNG)

    assert home != first
    assert two.pick(asking(question), POOL, RNG) == home


def test_each_choice_is_told_and_what_is_found_out_is_believed():
    balancer, question = Prefix(), asking("x" * 6_000)
    told = []
    balancer.watch(lambda *choice: told.append(choice))
    home = balancer.pick(question, POOL, RNG)
    assert told == [(home, question, read(question).parts)]
    balancer.forget(home, None)
    other = next(view.id for view in POOL if view.id != home)
    balancer.believe(other, [number for number, _ in read(question).parts])
    assert balancer.pick(question, POOL, RNG) == other


def test_a_slow_home_is_no_better_a_home_than_a_quick_one():
    """Its queue takes longer; what it has in its cache is worth what another would have to read."""
    balancer, question = Prefix(), "x" * 3_000
    home = balancer.pick(asking(question), POOL, RNG)
    waits = int(1_000 * (1 + OTHERS) / 2)
    slow = tuple(msgspec.structs.replace(view, weight=0.25, token_s=0.0008, wait_s=waits * 0.0008) if view.id == home else view
                 for view in queued({home: waits}))
    assert balancer.pick(asking(question), queued({home: waits}), RNG) == home
    assert balancer.pick(asking(question), slow, RNG) != home


def test_text_that_nobody_knows_keeps_away_from_a_slow_endpoint_until_the_others_are_busy():
    slow = tuple(msgspec.structs.replace(view, weight=0.25, token_s=0.0008) if view.id == "small/2" else view for view in POOL)
    assert all(Prefix().pick(asking(f"{n} " * 300), slow, RNG) != "small/2" for n in range(40))
    busy_ones = queued({view.id: 40_000 for view in POOL if view.id != "small/2"})
    views = tuple(msgspec.structs.replace(view, weight=0.25, token_s=0.0008) if view.id == "small/2" else view for view in busy_ones)
    assert Prefix().pick(asking("y" * 900), views, RNG) == "small/2"


def test_processes_send_a_beginning_that_nobody_has_to_the_same_endpoint_of_an_idle_pool():
    asked = [asking(f"question {n}") for n in range(200)]
    one, other = ([Prefix().pick(request, POOL, Random(seed)) for request in asked] for seed in (1, 2))
    assert one == other
    assert len(set(one)) == 8


def test_where_conversations_come_back_unknown_unknown_text_draws_to_one_endpoint():
    """Another process has seen the earlier turns; from then on both choose the same endpoint, load or not."""
    alone, beside = Prefix(), Prefix()
    for n in range(60):
        alone.pick(asking(f"mine {n}"), POOL, RNG)
        alone.pick(asking(f"mine {n}", "answer", "and?"), POOL, RNG)
        beside.pick(asking(f"another's {n}", "answer", "and?"), POOL, RNG)
    question = asking("x" * 3_000)
    home = Prefix().pick(question, POOL, RNG)
    assert beside.pick(question, queued({home: 400}), RNG) == home
    assert alone.pick(question, queued({home: 400}), RNG) != home


def test_a_request_without_text_goes_somewhere():
    assert Prefix().pick(a_request(messages=()), POOL, RNG) in {view.id for view in POOL}
