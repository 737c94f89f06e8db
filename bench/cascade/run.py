"""What cascades buy, by who looks at the answers: `make bench-cascade` (DATA=path to the data folder for the second part).

1. Real answers of SmolLM2-135M on three rungs with real log-probabilities, and a simulated expert above them (`real.py`).
2. Held-out outcomes of three-tier families with simulated verifiers of stated error (`families.py`); left out without DATA.

Everything is replayed through the machine that serves (`pointsman.learn.cascade`). `--write` writes RESULTS.md beside this file.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from collect import SEED
from families import SOURCES, TIERS, family, measured
from tasks import tasks

from pointsman.learn.cascade import Cascade
from pointsman.learn.cascade_picture import picture_of
from pointsman.learn.cascade_report import BOTH, Gap, Report, arms, gap_between, joined, report, served
from pointsman.learn.metrics import Interval
from pointsman.learn.overlap import by_task
from pointsman.learn.rungs import simulated
from real import EXPERT_RIGHT, EXPERT_TIMES, Collected, answers

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
ERRORS = (0.02, 0.1, 0.2, 0.3, 0.5)
WEIGHTS = (0.0, *(round(float(one), 4) for one in np.geomspace(0.01, 3.0, 11)), 1000.0)
MOST = 800
"""Rows of each source."""
MEASURED = "with measured overlap"
_OVERLAP = """How far two rungs succeed on the same queries given their scores, measured on the calibration half as `pointsman calibrate --cascade` does (0 by chance,
1 wherever the lower one does; pulled towards the default of 0.5 with the weight of 80 queries). Below, the machine is told those that are surely
something else, as the settings that `calibrate` prints are; on every task."""

_PREAMBLE = """# What cascades buy

Recorded answers go through the machine that serves: it is told what each called tier answered, cost and took and what its verifiers
said, and it climbs or accepts. Ways to send queries, each swept over its setting:

- *routing alone*: the tier with the most expected quality less price, nobody looks at its answer;
- *cascade, threshold*: from the cheapest, up a rung below a score, over every ladder that can be made of the rungs (so this row is as good as
  plain thresholds can be made in hindsight);
- *cascade, benefit*: from the cheapest, up by expected benefit;
- *routing + cascade*: `cascade.mode: benefit` as it serves: begins where the policy says, or below where looking is worth it, and climbs by benefit;
- *oracle*: knows the outcomes.

*Quality, all budgets*: mean quality over all budgets between always the cheapest and always the largest. *Cost at*: share of always the
largest's cost at which 95, 99, 100 % of its quality are kept. The next columns are at the cheapest setting that keeps 95 %, else at the best.
Gaps are paired over the same resamples; *worst* and *best* are at the cost where the gap is lowest and highest. In brackets 95 % bootstrap
intervals, 200 draws.

## What to read from it

- Where the check is exact, routing + cascade keeps all of the expert's accuracy at about half of its cost or less; plain thresholds get there for a
  little more, and are behind at small budgets. The price is time: who climbs waits for every rung, and p95 and p99 show it (the small
  rungs ran on one thread of a shared CPU, which flatters nobody). The pictures beside this file have quality over cost and over p50, p95 and p99.
- With log-probabilities of this small model alone, routing + cascade hardly ever climbs, and is at no cost worse than routing. The verifier is measured
  *beyond* what the router expects (`pointsman calibrate --cascade` does that, too): both see that a query is hard. Always beginning with the cheapest
  rung, by threshold or by benefit, loses to routing.
- Telling the machine how far tiers succeed together gains nothing here, and costs a little where a pair has nothing in common (the simulated expert errs
  at random: a bad answer below says nothing of it). Given the scores, public pairs lie at .41 to .63, around the default of .5. `few` and `vote`, two
  rungs of one model, are at .8. It is for ladders that are stranger than these.
- With simulated verifiers the gain over routing shrinks from six points at an error of .02 to half a point at .3. At .5 nobody is asked and it
  *is* routing. Plain thresholds lose to routing from an error of .1 on, every ladder and threshold picked in hindsight.

What it does not show. The expert is simulated and as good at everything. Simulated verifiers err at random; real ones err on hard queries,
where it hurts most. Settings are points on the measured rows, picked in hindsight for all ways alike. The rung `vote` is no better than
`few` here (four samples of a small model agree on mistakes): it is there to see whether it is passed over; about one answer in a hundred comes from it.
"""


def standings(found: Report) -> list[str]:
    lines = ["| way | quality, all budgets | cost at 95 % | 99 % | 100 % | quality | cost | climbs | p50 s | p95 s | p99 s |",
             "|---|---|---|---|---|---:|---:|---:|---:|---:|---:|"]
    for one in found.standings:
        name = f"**{one.name}**" if one.name == "routing + cascade" else one.name
        costs = " | ".join("never" if each is None else f"{each.value:.0%} [{each.low:.0%}, {each.high:.0%}]" for each in one.cost_of)
        lines.append(f"| {name} | {_figure(one.area)} | {costs} | {one.quality:.3f} | {one.cost:.0%} | {max(0.0, one.climbs):.2f} | {_seconds(one.p50_s)} | "
                     f"{_seconds(one.p95_s)} | {_seconds(one.p99_s)} |")
    return lines


def gaps(found: Report) -> list[str]:
    lines = ["| quality at equal cost | over all budgets | worst | best | |", "|---|---|---|---|---|"]
    return lines + [f"| {gap.name} less {gap.against} | {_signed(gap.mean)} | {_signed(gap.lowest)} at {gap.lowest_at:.0%} | "
                    f"{_signed(gap.highest)} at {gap.highest_at:.0%} | {gap.verdict}{', at some cost worse' if gap.is_ever_worse else ''} |" for gap in found.gaps]


def _figure(one: Interval) -> str:
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"


def _signed(one: Interval, digits: int = 3) -> str:
    return f"{one.value:+.{digits}f} [{one.low:+.{digits}f}, {one.high:+.{digits}f}]"


def _seconds(one: Interval) -> str:
    return f"{one.value:.2g} [{one.low:.2g}, {one.high:.2g}]"


def real(*, write: bool) -> list[str]:
    """The first part."""
    made = Collected(tasks(4000, SEED), answers())
    ladder, overlaps = made.ladder(), made.overlaps()
    effects: list[str] = []
    means = ladder.quality.mean(axis=0)
    lines = ["## Real answers", "",
             f"{len(made.tasks):,} tasks made from a seed (sums, extraction to a JSON schema, tool choice, short functions with tests), {3 * len(made.tasks):,} answers of "
             f"SmolLM2-135M-Instruct on llama.cpp with its own log-probabilities; half of each kind calibrates (router, verifiers), the other {len(ladder):,} are measured. "
             "Rungs: `zero` (the question alone), `few` (solved examples first), `vote` (four samples after the same examples, the most frequent one), `expert`. "
             f"**The expert is simulated**: right in {EXPERT_RIGHT:.0%} of the cases, whatever the task, at {EXPERT_TIMES:g} times the price per token, 0.6 s + 30 tokens/s. "
             f"Prices count an output token as four input tokens; seconds of the small rungs are those of one thread of a shared CPU, and where that did much other work (the last {made.busy:,} "
             "answers) those of an answer of like kind, rung and length from before. The router is an artifact as "
             "`pointsman train` makes it, from the calibration half.", "",
             "On the measured half: " + ", ".join(f"`{tier}` right {mean:.1%} at cost {usd:.2f}" for tier, mean, usd in
                                                   zip(ladder.tiers, means, ladder.usd.mean(axis=0) / ladder.usd[:, -1].mean(), strict=True)) + ".", ""]
    for name, judged in (("Exact verifier: the operator's own test", made.exact(ladder)),
                         ("Log-probabilities only", made.logprobs(ladder)),
                         ("Well-formedness, JSON schema, log-probabilities and agreement", made.mixed(ladder))):
        found = arms(Cascade(judged))
        one = report(found, ladder.tiers)
        told = served(Cascade(replace(judged, overlaps=by_task(overlaps))), MEASURED)
        effects.append(f"| {name} | {_gap(gap_between([*found, told], MEASURED, BOTH))} |")
        print(f"{name}: {one.gap('routing + cascade', 'routing alone').verdict}", file=sys.stderr)
        if write:
            (HERE / f"{name.split()[0].lower().strip(':,')}.svg").write_text(picture_of(one, name))
        lines += [f"### {name}", "", *standings(one), "", *gaps(one), ""]
    pairs = [f"| `{one.tier}` | `{one.higher}` | {one.task or 'all'} | {one.rows:,} | {_plain(one.value)} |" for one in overlaps
             if not one.task or (one.tier, one.higher) == ("few", "vote")]
    return [*lines, "### Measured overlap", "", _OVERLAP, "", "| rung | higher | task | queries | overlap |", "|---|---|---|---:|---|", *pairs, "",
            "| routing + cascade, measured overlap less the default | over all budgets | worst | |", "|---|---|---|---|", *effects, ""]


def families(data: Path, most: int, *, write: bool) -> list[str]:
    """The second part."""
    ladders = [family(data, source, most) for source in SOURCES]
    overlaps = [measured(data, source) for source in SOURCES]
    with_overlaps = [replace(ladder, overlaps=by_task(each)) for ladder, each in zip(ladders, overlaps, strict=True)]
    sizes = [len(ladder) for ladder in ladders]
    lines = ["## Simulated verifiers on real outcomes", "",
             f"Held-out (`dev`) rows of {', '.join(f'{source} ({size})' for source, size in zip(SOURCES, sizes, strict=True))}, each a small, a medium and a large model; "
             "sources weigh the same. The verifier says the wrong thing with the stated probability, of good answers and of bad ones, and its word is bounded "
             "by that rate. Routing scores: ridge on the shipped static vectors, fitted on the source's `train` rows. Prices are published ones, answers' "
             "lengths real where they are known; seconds are a model: 0.3 s + 100, 60, 30 tokens/s.", "",
             "| error | routing + cascade less routing alone | worst | less threshold | worst | threshold less routing alone | climbs | verdict |",
             "|---:|---|---|---|---|---|---:|---|"]
    details: list[str] = []
    effects: list[str] = []
    for error in ERRORS:
        ways = joined([arms(Cascade(simulated(ladder, error, seed=1)), WEIGHTS) for ladder in ladders])
        told = joined([[served(Cascade(simulated(ladder, error, seed=1)), MEASURED, WEIGHTS)] for ladder in with_overlaps])
        effects.append(f"| {error:g} | {_gap(gap_between([*ways, *told], MEASURED, BOTH, sizes))} |")
        found = report(ways, TIERS, sizes)
        if write:
            (HERE / f"simulated-{error:g}.svg").write_text(picture_of(found, f"Simulated verifier that errs in {error:.0%} of the cases"))
        ours, plain, naive = (found.gap(*pair) for pair in (("routing + cascade", "routing alone"), ("routing + cascade", "cascade, threshold"),
                                                            ("cascade, threshold", "routing alone")))
        print(f"error {error:g}: {ours.verdict}, {plain.verdict}", file=sys.stderr)
        lines.append(f"| {error:g} | {_signed(ours.mean)} | {_worst(ours)} | {_signed(plain.mean)} | {_worst(plain)} | {_signed(naive.mean)} | "
                     f"{max(0.0, found.standing('routing + cascade').climbs):.2f} | {_said(ours, 'routing')}; {_said(plain, 'threshold')} |")
        details += [f"### Error {error:g}", "", *standings(found), "", *gaps(found), ""]
    pairs = ["| source | small, medium | small, large | medium, large |", "|---|---|---|---|"]
    pairs += [f"| {source} | {' | '.join(_plain(one.value) + ('' if one.is_told else ', not told') for one in each)} |"
              for source, each in zip(SOURCES, overlaps, strict=True) if each]
    return [*lines, "", "### Measured overlap, on each source's `train` rows", "", *pairs, "",
            "| error | routing + cascade, measured overlap less the default | worst | |", "|---:|---|---|---|", *effects, "", *details]


def _said(gap: Gap, other: str) -> str:
    return f"{gap.verdict} {'from' if gap.verdict.startswith('not') else 'than'} {other}" + (", at some cost worse" if gap.is_ever_worse else "")


def _plain(one: Interval) -> str:
    return f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"


def _gap(gap: Gap) -> str:
    return f"{_signed(gap.mean, 4)} | {_signed(gap.lowest, 4)} at {gap.lowest_at:.0%} | {gap.verdict}"


def _worst(gap: Gap) -> str:
    return f"{_signed(gap.lowest)} at {gap.lowest_at:.0%}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, help="holds outcomes/*.parquet; absent: only real answers")
    parser.add_argument("--rows", type=int, default=MOST, help="rows of each source")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    lines = [_PREAMBLE, *real(write=options.write)]
    if options.data is not None:
        lines += families(options.data, options.rows, write=options.write)
    text = "\n".join(lines)
    if options.write:
        RESULTS.write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
