"""A day of traffic, and what its machines cost at the same promise: static peak, KEDA rules, and the router's own signal.

    make bench-autoscale DATA=path ARGS="--write"

Each kind of rule has one knob (how many machines always, the floor, the target) and is given its best setting: the
cheapest that keeps the promise on a day for tuning. The table is another day, with another seed.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.autoscale.day import PREFILL_S, TOKEN_S, TROUGH, Day, a_day
from bench.autoscale.rules import Keda, Pointsman, Rule, Static
from bench.autoscale.simulation import SLA_S, Outcome, run

SLOTS, BOOT_S, USD_PER_HOUR = 16, 180.0, 1.43
PROMISE = 0.99
"""Share of requests that must have their first token within SLA_S."""
PEAK_PER_S = 12.0
RESULTS = Path(__file__).with_name("RESULTS.md")


def kinds() -> dict[str, list[Callable[[], Rule]]]:
    """Each kind of rule with the settings that are tried, the cheapest expected first."""
    return {
        "static peak": [lambda n=n: Static(n) for n in range(5, 24)],
        "KEDA, queue only": [lambda n=n: Keda(5, n, queue_only=True) for n in range(1, 20)],
        "KEDA, queue and running": [lambda use=use: Keda(SLOTS * use, 1, queue_only=False)
                                    for use in (1.0, 0.9, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4)],
        "Pointsman": [lambda use=use: Pointsman(SLOTS, BOOT_S, use)
                      for use in (0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45)],
        "Pointsman as shipped": [lambda: Pointsman(SLOTS, BOOT_S, 0.7)],
    }


def played(day: Day, rule: Rule) -> Outcome:
    first = rule.look(0.0, 0, 0, 2, is_breaching=False, answers_per_s=0.0) if isinstance(rule, Static) else 3
    return run(day, rule, slots=SLOTS, boot_s=BOOT_S, usd_per_hour=USD_PER_HOUR, first=first)


def best(day: Day, rules: Iterable[Callable[[], Rule]]) -> Callable[[], Rule]:
    """The first that keeps the promise; the last when none does."""
    rule = None
    for rule in rules:
        outcome = played(day, rule())
        print(f"  {outcome.rule}: ${outcome.usd:.2f}, {outcome.attainment:.2%}", file=sys.stderr)
        if outcome.attainment >= PROMISE:
            return rule
    if rule is None:
        raise ValueError("no rules")
    return rule


def table(rows: list[tuple[str, list[Outcome]]]) -> str:
    static = next(_mean(o.usd for o in outcomes) for name, outcomes in rows if name == "static peak")
    lines = ["| rule | setting | $ a day | against static peak | first token within "
             f"{SLA_S:g} s | p99, s | most machines | starts |", "|---|---|---:|---:|---:|---:|---:|---:|"]
    for name, outcomes in rows:
        usd = _mean(o.usd for o in outcomes)
        lines.append(f"| {name} | {outcomes[0].rule} | {usd:.2f} | {usd / static - 1:+.1%} | {_mean(o.attainment for o in outcomes):.2%} | "
                     f"{_mean(o.p99_ttft_s for o in outcomes):.2f} | {max(o.most for o in outcomes)} | {_mean(o.starts for o in outcomes):.0f} |")
    return "\n".join(lines)


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", nargs="?", type=Path, help="folder with azure2023_conv.parquet; without it a stand-in of the same shape")
    parser.add_argument("--days", type=int, default=3, help="days with seeds of their own that are averaged in the table")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    args = parser.parse_args()
    tuning = a_day(args.data, PEAK_PER_S, seed=1)
    days = [a_day(args.data, PEAK_PER_S, seed=100 + i) for i in range(args.days)]
    rows = []
    for name, rules in kinds().items():
        print(f"{name}: tuning", file=sys.stderr)
        rule = best(tuning, rules)
        rows.append((name, [played(day, rule()) for day in days]))
    text = table(rows)
    print(text)
    if args.write:
        RESULTS.write_text(f"""# What a day of machines costs

{datetime.now(UTC):%d %B %Y}, Python {platform.python_version()}; `make bench-autoscale`. {tuning.source}: gaps and lengths of a recorded hour,
stretched to a day whose trough is {TROUGH:.0%} of its peak of {PEAK_PER_S:g} requests a second ({len(days[0].arrives):,} requests a day; mean of {len(days)} days).

{text}

Each kind of rule has the cheapest of its settings that kept the promise ({PROMISE:.0%} of first tokens within {SLA_S:g} s) on a day of
its own; "as shipped" is the default, not tuned. Simulated time, real rules: `pools/scaling.py` is what serves.

Assumed: machines alike, {SLOTS} slots each, ${USD_PER_HOUR} an hour by the second, always to be had, serving {BOOT_S:g} s after they are asked for and
paid for from then; a request holds a slot for {PREFILL_S:g} s + {TOKEN_S * 1000:g} ms a token; one line in front of all machines. The KEDA rules are
Kubernetes' arithmetic with its defaults (15 s, 300 s, a tenth), not a cluster.
""")


if __name__ == "__main__":
    main()
