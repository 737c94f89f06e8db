"""What we see of each endpoint ourselves."""

from pointsman.core.record import Attempt, Record
from pointsman.gateway.traffic import MOST_TTFTS, Answers, Traffic


def record(*outcomes: str, stream: bool = True, endpoint: str = "small/0") -> Record:
    attempts = tuple(Attempt(
        number=i, tier="small", pool="small", endpoint=endpoint, model="m", reason="chosen", started_s=0.0, duration_s=2.0,
        ttft_s=0.5, outcome=outcome) for i, outcome in enumerate(outcomes, start=1))  # type: ignore[arg-type]
    return Record(
        id="r", at=0.0, kind="chat", requested_model="auto", route="auto", tenant="", key="", stream=stream,
        outcome="answered", status=200, duration_s=2.0, ttft_s=0.5, attempts=attempts)


def test_answers_are_counted_and_failures_are_not():
    traffic = Traffic()
    traffic.write(record("failed", "answered"))
    traffic.write(record("answered", stream=False))

    assert traffic.of("small/0") == Answers(answered=2, ttft_sum_s=0.5, ttft_n=1)
    assert traffic.of("large/0") == Answers()


def test_what_one_process_took_another_adds():
    worker, keeper = Traffic(), Traffic()
    worker.write(record("answered"))
    keeper.add(worker.take())
    worker.write(record("answered"))
    keeper.add(worker.take())

    assert keeper.of("small/0") == Answers(2, 1.0, 2)
    assert worker.of("small/0") == Answers()


def test_the_latest_times_to_first_token_can_be_taken_and_never_pile_up():
    traffic = Traffic()
    for _ in range(MOST_TTFTS + 5):
        traffic.write(record("answered"))
    traffic.write(record("answered", stream=False, endpoint="small/1"))

    assert traffic.take_ttfts() == {"small/0": (0.5,) * MOST_TTFTS}
    assert traffic.take_ttfts() == {}
