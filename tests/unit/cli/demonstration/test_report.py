import io
import json

import msgspec
from rich.console import Console

from pointsman.cli.demonstration.bill import bill_of
from pointsman.cli.demonstration.report import Report, as_data, chosen, show
from pointsman.cli.demonstration.row import Row
from pointsman.cli.demonstration.summary import summaries
from pointsman.core.price import GpuPrice
from pointsman.core.reply import Usage


def a_row(number=1, **overrides):
    values = {
        "number": number, "level": "simple", "kind": "fact", "language": "en", "prompt": "What does [b]RSVP[/b] mean?", "stream": True,
        "tier": "small", "model": "m", "decided_by": "policy", "why": "0.85 easy", "ttft_s": 0.07, "total_s": 0.4,
        "decision_s": 0.0002, "router_s": 0.0004, "usage": Usage(10, 20),
        "cost_nano_usd": 4250, "cost_basis": "gpu", "attempts": 1, "record": f"r{number}", "simulated": True, "said_nano_usd": 4250,
    }
    return Row(**(values | overrides))


def a_report(*rows):
    bill = bill_of(rows, GpuPrice("H100", 2.40, 1, 400.0))
    return Report(rows, tuple(summaries(rows, ["small", "large"])), bill, {"small": "a 7B", "large": "a 70B"}, 4.0, 1, "d/records.db")


def printed(report, *, everything=False, width=140):
    out = io.StringIO()
    show(Console(file=out, width=width, highlight=False), report, everything=everything)
    return out.getvalue()


def test_a_screenful_has_every_kind_and_every_decider():
    rows = [a_row(n) for n in range(1, 90)] + [
        a_row(90, level="complex", kind="proof", tier="large"), a_row(91, decided_by="rules"), a_row(92, language="ja")]

    found = chosen(rows)

    assert len(found) == 24
    assert [row.number for row in found] == sorted(row.number for row in found)
    assert {90, 91, 92} <= {row.number for row in found}


def test_the_table_shows_prompt_tier_why_times_and_cost_and_marks_simulated_rows():
    text = printed(a_report(a_row()))

    row = next(line for line in text.splitlines() if "RSVP" in line)
    for part in ("simple fact", "[b]RSVP[/b]", "small*", "0.85 easy", "70 ms", "400 ms", "$0.000004"):
        assert part in row
    assert "small*" not in printed(a_report(a_row(simulated=False)))


def test_all_rows_are_printed_on_request():
    report = a_report(*(a_row(n, prompt=f"prompt {n}") for n in range(1, 41)))

    assert "24 of 40 rows" in printed(report)
    assert "prompt 40" in printed(report, everything=True)


def test_the_bill_is_signed_and_says_what_it_assumes():
    text = printed(a_report(a_row(), a_row(2, tier="large", cost_nano_usd=50_000, said_nano_usd=None)))

    # 30 tokens at 400 tokens/s and $2.40 an hour are $0.00005, twice.
    assert "$0.000054250" in text
    assert "$0.000100000" in text
    assert "-$0.000045750" in text
    assert "(-45.8%)" in text
    assert "the same tokens" in text


def test_a_told_cost_that_is_not_the_records_stands_out():
    assert "all equal their records" in printed(a_report(a_row()))
    assert "1 DIFFER from their records" in printed(a_report(a_row(said_nano_usd=4251)))


def test_the_last_line_says_what_is_modelled():
    last = printed(a_report(a_row())).rstrip().splitlines()[-1]

    assert "Real: the decisions" in last
    assert "Modelled, in all rows" in last
    assert "4 times as fast" in last


def test_the_data_holds_every_row_and_the_bill():
    data = json.loads(msgspec.json.encode(as_data(a_report(a_row(), a_row(2)))))

    assert [row["record"] for row in data["rows"]] == ["r1", "r2"]
    assert data["bill"]["routed"] == sum(row["cost_nano_usd"] for row in data["rows"])
    assert data["simulated"] is True
