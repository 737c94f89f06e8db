from pointsman.cli.demonstration.client import Answer
from pointsman.cli.demonstration.prompts import arrivals
from pointsman.cli.demonstration.screen import dollars, line, seconds
from pointsman.cli.demonstration.tour import LATEST, Progress


def an_answer(tier="small", nano=1000, error=None):
    return Answer(200, {"x-route-tier-name": tier}, said_nano_usd=nano, error=error)


def a_progress(*answers, now=lambda: 0.0):
    progress = Progress(10, now)
    for arrival, answer in zip(arrivals(len(answers), seed=1), answers, strict=True):
        progress.sent += 1
        progress.take(arrival, answer)
    return progress


def test_progress_counts_tiers_costs_and_failures():
    progress = a_progress(an_answer(), an_answer("large", 500), an_answer(error="no"))

    assert repr(progress) == "<Progress 2/10 [0 in flight, 1 failed]>"
    assert progress.by_tier == {"small": 1, "large": 1}
    assert progress.about_nano_usd == 1500


def test_only_the_latest_answers_are_remembered():
    assert len(a_progress(*[an_answer()] * 9).latest) == LATEST


def test_the_line_for_a_log_says_it_all():
    times = iter([0.0, 2.0])
    progress = a_progress(an_answer(), an_answer(error="no"), now=lambda: next(times, 2.0))

    assert line(progress, ["small", "large"]) == (
        "1/10 answered · small 1 · large 0 · 0 in flight · 1 failed · 0.5/s · about $0.000001")


def test_numbers_are_written_for_people():
    assert [seconds(s) for s in (0.0874, 1.4249, None)] == ["87 ms", "1.42 s", "-"]
    assert [dollars(n) for n in (1_500_000, -2_000_000, None)] == ["$0.001500", "-$0.002000", "unknown"]
