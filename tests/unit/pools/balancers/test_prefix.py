"""Requests that begin alike on the same endpoint, as long as that is no burden."""

from __future__ import annotations

from collections import Counter
from random import Random

import msgspec

from pointsman.core.fleet import EndpointState, EndpointView
from pointsman.core.request import ChatRequest, Message, Needs
from pointsman.pools.balancers.beginnings import read
from pointsman.pools.balancers.prefix import BONUS, MOST_CREDITED, Prefix
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
    assert balancer.pick(asking(question, "On its way.", "When?"), busy(home, 5_000), RNG) == home


def test_it_leaves_home_when_home_has_more_to_do_than_its_beginning_is_worth_and_then_has_two():
    balancer, question = Prefix(), "x" * 3_000
    home = balancer.pick(asking(question), POOL, RNG)
    worth = int((BONUS + 1) * 1_000)
    assert balancer.pick(asking(question, "a", "b"), busy(home, worth - 10), RNG) == home
    other = balancer.pick(asking(question, "a", "b"), busy(home, worth + 10), RNG)
    assert other != home
    assert balancer.pick(asking(question, "a", "b"), busy(home, 100), RNG) == other


def test_questions_about_one_document_meet_although_they_part_within_a_message():
    balancer, document = Prefix(), "".join(f"{n} " for n in range(3_000))
    home = balancer.pick(asking(document + "Who?"), POOL, RNG)
    assert balancer.pick(asking(document + "Where is it said that he came too late?"), busy(home, 5_000), RNG) == home


def test_however_long_a_beginning_is_it_gathers_a_bounded_load():
    balancer, book = Prefix(), "".join(f"{n} " for n in range(20_000))
    home = balancer.pick(asking(book), POOL, RNG)
    spills_at = int(BONUS * MOST_CREDITED + len(book.encode()) / 3) + 1
    assert balancer.pick(asking(book), busy(home, spills_at), RNG) != home


def test_what_everybody_asks_spreads_by_load():
    began = serve(Prefix(), [asking("the same " * 300) for _ in range(2_000)], stay=200)
    assert len(began) == 8
    assert max(began.values()) < 1.25 * 2_000 / 8


def test_a_system_prompt_that_everybody_has_leaves_conversations_to_load_and_each_at_home():
    balancer, system = Prefix(), "Everybody's. " * 100
    began = serve(balancer, [asking(f"question {n} " * 20, system=system) for n in range(800)], stay=80)
    assert max(began.values()) < 1.25 * 100
    late = [asking(f"question {n} " * 20, system=system) for n in range(800, 840)]
    home = [balancer.pick(request, POOL, RNG) for request in late]
    again = [balancer.pick(asking(f"question {n} " * 20, "answer", "and?", system=system), POOL, RNG) for n in range(800, 840)]
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
    home = one.pick(asking(question), busy(first, 100_000), RNG)

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
    """The bonus does not grow as an endpoint slows down, and what is left to do there counts more."""
    balancer, question = Prefix(), "x" * 3_000
    home = balancer.pick(asking(question), POOL, RNG)
    slow = int((BONUS + 1) * 1_000 / 4)
    assert balancer.pick(asking(question), busy(home, slow + 100, weight=0.25), RNG) != home


def test_a_queue_that_is_reported_repels():
    balancer = Prefix()
    home = balancer.pick(asking("x" * 3_000), POOL, RNG)
    assert balancer.pick(asking("x" * 3_000), busy(home, 0, excess_tokens=50_000), RNG) != home


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
    assert beside.pick(question, busy(home, 4_000), RNG) == home
    assert alone.pick(question, busy(home, 4_000), RNG) != home


def test_a_request_without_text_goes_somewhere():
    assert Prefix().pick(a_request(messages=()), POOL, RNG) in {view.id for view in POOL}
