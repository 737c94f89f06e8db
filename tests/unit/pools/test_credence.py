"""Whether an engine's figures may be believed."""

import pytest

from pointsman.core.fleet import LoadReport
from pointsman.pools.credence import PATIENCE, Credence, Seen, contradicts, disbelieved, understates


def report(waiting: int | None = 0, running: int | None = 0, progress: float | None = 100.0, **more: object) -> LoadReport:
    return LoadReport(waiting, running, kv_usage=0.1, at=1000.0, progress=progress, **more)


def verdicts(*looks: tuple[LoadReport, Seen], siblings=()) -> list[str]:
    credence = Credence()
    return [credence.judge(said, seen, siblings) for said, seen in looks]


def test_counters_that_stand_still_while_it_answers_are_frozen():
    looks = [(report(), Seen(answered=answered)) for answered in (0, 3, 5, 9)]

    assert verdicts(*looks) == ["", "", "", "frozen"]


def test_an_idle_engine_is_not_frozen():
    assert verdicts(*[(report(), Seen(answered=7))] * 10) == [""] * 10


def test_one_answer_on_the_way_between_two_looks_is_forgiven_once_the_counters_move():
    looks = [(report(progress=1), Seen(answered=0)), (report(progress=1), Seen(answered=1)),
             (report(progress=2), Seen(answered=1)), (report(progress=2), Seen(answered=2)), (report(progress=3), Seen(answered=2))]

    assert verdicts(*looks) == [""] * 5


def test_a_thawed_engine_is_believed_at_once():
    looks = [(report(progress=1), Seen(answered=n)) for n in range(5)] + [(report(progress=2), Seen(answered=6))]

    assert verdicts(*looks)[-2:] == ["frozen", ""]


def test_counters_that_start_anew_belong_to_a_new_engine():
    assert verdicts((report(progress=500), Seen(answered=0)), *[(report(progress=n), Seen(answered=n)) for n in (3, 9, 12)]) == [""] * 4


def test_an_engine_without_counters_cannot_be_called_frozen():
    assert verdicts(*[(report(progress=None), Seen(answered=n)) for n in range(9)]) == [""] * 9


def test_fewer_requests_than_ours_for_several_looks_is_an_understatement():
    lie = (report(waiting=0, running=0), Seen(in_flight=8))

    assert verdicts(lie, lie, lie) == ["", "", "understated"]
    assert verdicts(lie, lie, (report(running=8), Seen(in_flight=8)), lie) == [""] * 4


@pytest.mark.parametrize(("waiting", "running", "in_flight", "expected"), [
    (0, 0, 2, False), (0, 0, 3, True), (2, 6, 10, False), (0, 7, 10, True), (40, 60, 120, False), (0, 60, 120, True),
    (0, 20, 3, False), (None, 0, 50, False), (0, None, 50, False)])
def test_requests_on_their_way_are_allowed_for(waiting, running, in_flight, expected) -> None:
    assert understates(report(waiting, running), Seen(in_flight=in_flight)) is expected


def test_an_empty_queue_beside_slow_first_tokens_is_contradicted():
    slow, quick = Seen(ttft_s=6.0, ttft_n=10), Seen(ttft_s=0.9, ttft_n=10)

    assert verdicts(*[(report(), slow)] * PATIENCE, siblings=(0.5, 1.0, 1.2))[-1] == "contradicted"
    assert not contradicts(report(waiting=4), slow, (0.5, 1.0))
    assert not contradicts(report(), slow, (5.0, 4.0))
    assert not contradicts(report(), quick, (0.1, 0.1))
    assert not contradicts(report(), Seen(ttft_s=6.0, ttft_n=2), (0.5,))
    assert not contradicts(report(), slow, ())


def test_a_look_without_first_tokens_neither_proves_nor_clears():
    slow, silent = (report(), Seen(ttft_s=6.0, ttft_n=10)), (report(), Seen())

    assert verdicts(slow, slow, silent, slow, siblings=(0.5,)) == ["", "", "", "contradicted"]


def test_what_is_not_believed_loses_its_figures_and_keeps_the_rest():
    said = disbelieved(report(waiting=3, running=4, models=("m",), engine="vllm", slots=8, is_awake=True), "frozen")

    assert (said.waiting, said.running, said.kv_usage, said.queued_tokens) == (None, None, None, None)
    assert (said.models, said.engine, said.slots, said.is_awake, said.doubt) == (("m",), "vllm", 8, True, "frozen")
