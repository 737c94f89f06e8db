"""Trials as tables, sentences and plots."""

from __future__ import annotations

import csv
import datetime
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import plots as svg
import pyarrow.parquet as pq
from sources import DEV, FAMILIES, PUBLIC
from trial import ALWAYS, ORDER, OURS, PROMISED, RIVALS, RULES, WITH_JUDGE, Result

from pointsman.learn.frontier import aiq

PREAMBLE = """# How well the classifier routes

Each router is fitted on the same few labelled queries of a source and judged on held-out ones: outcome tables of real models,
with the measured quality of a small and of a large model per query. A router ranks queries by "this one needs the larger
model". **APGR** is the area under "share of the quality gap recovered" over "share of large calls": 0.5 is random mixing, 1 is
more than any router reaches. **CPT50 / CPT80** are the shares of large calls (%) that recover 50 and 80 % of the gap: less is better.
Definitions: `pointsman.learn.metrics`, after RouteLLM (arXiv 2406.18665). Draws of labels are drawn anew for each row; ± is half
of a 95 % interval of the mean over draws (not over items: see the paired tests for that). The task table is told the true name of
the task, which no router that reads only the prompt can know; the oracle knows the outcomes. The judge is simulated: it is asked about the
fifth of the queries nearest to the threshold, and its word is as reliable as the settings' default takes it to be (0.3: of its words
about the small model 65 in 100 are right); the row says what asking would be worth then, not how good any model's word is.

Features, prior beliefs, penalties, the number of divisions into kinds, the averaging of two blends and how far differences between
models are believed (`learn/differences.py`) were chosen on the development sources; RouteLLM's draws were scored afterwards. Two older choices had first been noticed on RouteLLM draws and were made anew on the
development sources alone (mean over five sources, 3 draws at 300 labels and 1 to 2 at 1,000): smoothing differences between models
(`CAUTION` in `learn/stack.py`) is best at the value that it has (1.0 against 0.5: +.0008 and +.0003 APGR; against 1.5: +.0000 and
+.0007); one slope of calibration for all models (`learn/learners/platt.py`) ties with a slope for each (+.0008 and -.0006), and the one with
fewer parameters stays. That they had been looked at there once cannot be undone.

What trainings presume of difficulty (`pointsman.learn.presumed`) was made without the source that is measured, wherever it would hold some of it (`unseen.py`).
"""


def text(results: Sequence[Result], speed: str, outcomes: Path, missing: int) -> str:
    """The whole report in markdown. `speed`: its section; `missing`: cells that were not made yet."""
    by = defaultdict(list)
    for result in results:
        by[result.source, result.labels].append(result)
    parts = [PREAMBLE, _made_of(by, missing)]
    for source, labels in (("RouteLLM MMLU", 1500), ("RouteLLM GSM8K", 650)):
        if found := by.get((source, labels)):
            parts.append(_public(source, labels, found, outcomes))
    for labels in (100, 300, 1000):
        if any((source, labels) in by for source in DEV):
            parts.append(_dev(labels, {source: by[source, labels] for source in DEV if (source, labels) in by}))
    parts += [_money(by, outcomes), _curves(by), _calibration(by), _promise(by), _best_single(by), _fitting(by), speed]
    return "\n".join(part for part in parts if part)


def _made_of(by: dict[tuple[str, int], list[Result]], missing: int) -> str:
    """How much of the plan stands behind the figures."""
    draws = "; ".join(f"{source} " + ", ".join(f"{len(by[source, labels])} × {labels:,}" for labels in sorted(n for s, n in by if s == source))
                      for source in (*PUBLIC, *DEV) if any(s == source for s, _ in by))
    short = f" {missing} cells of the plan are missing: `run.py` goes on where it stopped." if missing else ""
    return f"Made on {datetime.datetime.now(datetime.UTC).date()}. Draws × labels: {draws}.{short}\n"


def _with(found: Sequence[Result], name: str) -> list[Result]:
    """Trials in which this router took part."""
    return [one for one in found if name in one.figures]


def _public(source: str, labels: int, found: list[Result], outcomes: Path) -> str:
    """Our draws and the published rows."""
    draws, gold = [one for one in found if one.draw >= 0], [one for one in found if one.draw < 0]
    lines = [f"## {source}, {labels:,} own labels: {len(draws)} draws, {found[0].rows:,} queries judged (Mixtral-8x7B against GPT-4-1106)\n",
             "| router | APGR | CPT50 % | CPT80 % | " + ("APGR, marked draw | CPT50 % | CPT80 % |" if gold else ""),
             "|---|---:|---:|---:|" + ("---:|---:|---:|" if gold else "")]
    for name in _names(found):
        if not (known := _with(draws, name)):
            continue
        row = f"| {_bold(name)} | {_spread([one.figures[name][0, 0] for one in known])} | {_mean(known, name, 1)} | {_mean(known, name, 2)} | "
        if gold and name in gold[0].figures:
            apgr, half, most = gold[0].figures[name][0]
            row += f"{apgr:.3f} | {half * 100:.1f} | {most * 100:.1f} |"
        elif gold:
            row += "| | |"
        lines.append(row)
    paper = json.loads((outcomes / "routellm_paper_tables.json").read_text())["tables"][source.split()[1].lower()]
    for training, router, half, most, apgr, _ in paper:
        lines.append(f"| published: RouteLLM {router}, {training} | {apgr:.3f} | {half:.1f} | {most:.1f} | " + ("| | |" if gold else ""))
    wins = []
    for own in OURS:
        for rival in RIVALS:
            away = np.array([one.beats[own][rival][0] for one in draws if rival in one.beats.get(own, {})])
            if len(away):
                wins.append(f"{own} is above {rival} in {np.mean(away[:, 0] > 0):.0%} of draws, by {away[:, 0].mean():+.3f} ± {1.96 * away[:, 1].mean():.3f}")
    paired = ["", "Paired over items (± 1.96 standard errors of one draw): " + "; ".join(wins) + ".\n"] if wins else [""]
    return "\n".join([*lines, *paired])


def _dev(labels: int, by: dict[str, list[Result]]) -> str:
    """Mean over families, sources weighted equally, and every family in which somebody simple was better."""
    sources = list(by)
    names = _names([one for found in by.values() for one in found])
    lines = [f"## Development sources, {labels} own labels\n", "APGR, mean over the families of a source and over draws ("
             + ", ".join(f"{source} {len(by[source])} × {by[source][0].rows:,}" for source in sources) + ").\n",
             "| router | " + " | ".join(sources) + " | mean | above random |", "|---|" + "---:|" * (len(sources) + 2)]
    for name in names:
        means = [np.mean([one.figures[name][:, 0].mean() for one in _with(by[source], name)] or [np.nan]) for source in sources]
        lines.append(f"| {_bold(name)} | " + " | ".join("" if np.isnan(one) else f"{one:.3f}" for one in means)
                     + ("" if np.isnan(means).any() else f" | {np.mean(means):.3f} | {np.mean(means) - 0.5:+.3f}") + " |")
    worse, compared = [], 0
    for source in sources:
        for own in OURS:
            for rival in RIVALS:
                both = [one.beats[own][rival] for one in by[source] if rival in one.beats.get(own, {})]
                if not both:
                    continue
                away = np.mean(both, axis=0)
                for pair, (difference, error) in enumerate(away):
                    compared += 1
                    if difference + 1.96 * error < 0:
                        worse.append(f"{own} below {rival} on {source} {' → '.join(FAMILIES[source][pair])} by {-difference:.3f} (± {1.96 * error:.3f})")
    if not compared:
        return "\n".join([*lines, ""])
    said = "none." if not worse else f"{len(worse)}: " + "; ".join(worse) + "."
    return "\n".join([*lines, "", f"Of {compared} paired comparisons with prompt length, task table, TF-IDF + ridge and kNN, ours is below by more than noise in " + said + "\n"])


def _curves(by: dict[tuple[str, int], list[Result]]) -> str:
    """APGR over the number of labels."""
    counts = (100, 300, 1000, 1500, 5000)
    lines = []
    for source in ("RouteLLM MMLU", *DEV):
        known = [labels for labels in counts if (source, labels) in by]
        if len(known) < 2:
            continue
        for name in ("kNN", "TF-IDF + ridge", *OURS):
            cells = []
            for labels in counts:
                found = [one for one in by.get((source, labels), []) if name in one.figures]
                cells.append(f"{np.mean([one.figures[name][:, 0].mean() for one in found]):.3f}" if found else "")
            lines.append(f"| {source} | {_bold(name)} | " + " | ".join(cells) + " |")
    if not lines:
        return ""
    return "\n".join(["## Learning curves: APGR by number of own labels\n", "| source | router | " + " | ".join(f"{labels:,}" for labels in counts) + " |",
                      "|---|---|" + "---:|" * len(counts), *lines, ""])


def _money(by: dict[tuple[str, int], list[Result]], outcomes: Path) -> str:
    """Savings while most of the large model's quality is kept, and AIQ, for the first family of each source."""
    lines = ["## Money\n", "First family of each source, list prices of 100 tokens in and 250 out. Savings: share of the large model's bill that is not spent while 95, 99 "
             "and 100 % of its quality are kept (from the mean curve over draws). AIQ (RouterBench): mean quality over all prices, under the hull that mixing reaches.\n",
             "| source, labels | router | saved at 95 % | at 99 % | at 100 % | AIQ |", "|---|---|---:|---:|---:|---:|"]
    prices = _prices(outcomes)
    for (source, labels), found in by.items():
        if (source in DEV and labels != 1000) or (source in PUBLIC and labels not in (650, 1500)):
            continue
        small, large = FAMILIES[source][0]
        weak, strong = _means(outcomes, source, small, large)
        cost = np.array([prices[small], prices[large]])
        lines += [_fixed(f"{source}, {labels:,}", name, own, dollars, strong, float(cost[1]))
                  for name, own, dollars in (("always the small one", weak, float(cost[0])), ("always the large one (the best single one)", strong, float(cost[1])))]
        for name in ("random", "published heuristic", *RIVALS, *OURS, WITH_JUDGE, "oracle"):
            draws = [one for one in found if name in one.curves]
            if not draws:
                continue
            share = np.asarray(draws[0].curves[name][0])
            quality = weak + (strong - weak) * np.mean([one.curves[name][1] for one in draws], axis=0)
            spent = cost[0] + share * (cost[1] - cost[0])
            saved = []
            for kept in (0.95, 0.99, 1.0):
                enough = np.flatnonzero(quality >= kept * strong - 1e-9)
                saved.append(f"{100 * (1 - spent[enough[0]] / cost[1]):.0f} %" if len(enough) else "never")
            lines.append(f"| {source}, {labels:,} | {_bold(name)} | {' | '.join(saved)} | {aiq(spent, quality, float(cost[0]), float(cost[1])):.4f} |")
    return "\n".join([*lines, ""]) if len(lines) > 4 else ""


def _fixed(where: str, name: str, quality: float, dollars: float, strong: float, large: float) -> str:
    """One model for everything: a point and no curve, so it has no AIQ."""
    saved = [f"{100 * (1 - dollars / large):.0f} %" if quality >= kept * strong - 1e-9 else "never" for kept in (0.95, 0.99, 1.0)]
    return f"| {where} | {name} | {' | '.join(saved)} | quality {quality:.4f} |"


def _prices(outcomes: Path) -> dict[str, float]:
    """Dollars of a call by model."""
    with (outcomes / "models.csv").open() as file:
        return {row["model"]: (100 * float(row["usd_per_M_in"] or 0) + 250 * float(row["usd_per_M_out"] or 0)) / 1e6 for row in csv.DictReader(file)}


def _means(outcomes: Path, source: str, small: str, large: str) -> tuple[float, float]:
    """Mean quality of both models on the rows that may be judged."""
    name = "routellm" if source in PUBLIC else source
    columns = pq.read_table(outcomes / f"{name}.parquet").to_pydict()
    wanted = [row for row, split in enumerate(columns["split"]) if (source in PUBLIC and columns["benchmark"][row] == source.split()[1]
              and not columns["contaminated"][row]) or (source not in PUBLIC and split == "dev")]
    pairs = np.array([[columns[small][row], columns[large][row]] for row in wanted], dtype=float)
    weak, strong = pairs[np.isfinite(pairs).all(axis=1)].mean(axis=0)
    return float(weak), float(strong)


def _calibration(by: dict[tuple[str, int], list[Result]]) -> str:
    """Error of the scores as probabilities, beside what perfect ones would show."""
    lines = ["## Calibration\n", "Expected calibration error in ten equal bins, and its noise floor (perfectly calibrated scores at as many rows); mean over "
             "models and draws, and the model with the largest excess.\n",
             "| source | labels | router | ECE | floor | excess | worst model's excess |", "|---|---:|---|---:|---:|---:|---:|"]
    for (source, labels), found in sorted(by.items()):
        for own in OURS:
            if known := [one for one in found if own in one.calibration]:
                pairs = np.array([one.calibration[own] for one in known])
                excess = (pairs[..., 0] - pairs[..., 1]).mean(axis=0)
                lines.append(f"| {source} | {labels} | {own} | {pairs[..., 0].mean():.3f} | {pairs[..., 1].mean():.3f} | {max(0.0, excess.mean()):.3f} | {excess.max():.3f} |")
    return "\n".join([*lines, ""])


def _best_single(by: dict[tuple[str, int], list[Result]]) -> str:
    """Choosing the model with the higher expected quality, against always the better one."""
    lines = ["## Best single model\n", "Quality when each query goes to the model that is expected to be better (no price), less that of the better single model; the family "
             "with the least, and its ± 1.96 standard errors. Dominated and inverted families are among them. *Lost*: trials (a family and a draw) in which it is below by more "
             "than 1.96 standard errors of the judged rows; of two that are equally good 2.5 % look so by chance.\n",
             "*Always the labels' best* sends everything to the model with the better mean on the labels: where it loses, the labels themselves name the wrong model, and "
             "nobody who has nothing else can know. *Rehearsed* is `quality: 1` with that model as the reference: the other one is chosen only where the "
             "artifact's rehearsal shows that it gains. Families of `routerbench` and `llmrouter` are judged on few rows.\n",
             "| source | labels | router | mean | lost | of these the labels' fault | least | ± | family |", "|---|---:|---|---:|---:|---:|---:|---:|---|"]
    total: dict[tuple[int, str], list[Any]] = defaultdict(list)
    for (source, labels), found in sorted(by.items()):
        for name in (ALWAYS, *OURS):
            if known := [(one.best_single[name], one.best_single[ALWAYS]) for one in found if name in one.best_single]:
                lines.append(_family_row(source, labels, name, np.array([own for own, _ in known]), np.array([best for _, best in known])))
                if source in DEV:
                    total[labels, name] += known
        if known := [(one.best_rehearsed, one.best_single[ALWAYS]) for one in found if one.best_rehearsed is not None]:
            lines.append(_family_row(source, labels, "rehearsed, static", np.array([own for own, _ in known]), np.array([best for _, best in known])))
    for (labels, name), known in sorted(total.items()):
        own, best = (np.concatenate([np.asarray(one[at]) for one in known]) for at in (0, 1))
        lost, fault = _lost(own), _lost(best)
        lines.append(f"| all development sources | {labels} | {name} | {own[:, 0].mean():+.4f} | {lost.sum()} of {len(lost)} | {(lost & fault).sum()} | {own[:, 0].min():+.4f} | | |")
    return "\n".join([*lines, ""])


def _lost(away: Any) -> Any:
    """Below by more than the judged rows' noise."""
    return away[..., 0] < -1.96 * away[..., 1] - 1e-12


def _fitting(by: dict[tuple[str, int], list[Result]]) -> str:
    """Seconds of fitting and scoring."""
    lines = ["## Fitting and scoring\n", "Seconds of one core for fitting on the labels and scoring the judged rows, vectors made beforehand: all plain routers together, and both of "
             "our stacks.\n", "| source | labels | judged | plain | ours |", "|---|---:|---:|---:|---:|"]
    for (source, labels), found in sorted(by.items()):
        known = [[one.seconds[part] for one in found if part in one.seconds] for part in ("plain", "ours")]
        lines.append(f"| {source} | {labels:,} | {found[0].rows:,} | " + " | ".join(f"{np.median(one):.1f}" if one else "" for one in known) + " |")
    return "\n".join([*lines, ""])


def _family_row(source: str, labels: int, name: str, own: Any, best: Any) -> str:
    """`own`, `best`: (draws, families, 2)."""
    away, lost = own.mean(axis=0), _lost(own)
    least = int(np.argmin(away[:, 0]))
    return (f"| {source} | {labels} | {_bold(name)} | {away[:, 0].mean():+.4f} | {lost.sum()} of {lost.size} | {(lost & _lost(best)).sum()} | {away[least, 0]:+.4f} | "
            f"{1.96 * away[least, 1]:.4f} | {' → '.join(FAMILIES[source][least])} |")


def _promise(by: dict[tuple[str, int], list[Result]]) -> str:
    """What `quality` gives by the rule that serves, beside the one that served before, sources weighted equally."""
    lines = ["## What `quality` keeps\n", "Pairs of a small and a large model on the development sources, static stack; a case is a pair and a draw. *Bounds*: a tier clears "
             "when the lower bound of its score reaches `quality` times the large one's score. *Rehearsed*: when it loses no more than the artifact was rehearsed to allow "
             "([why](../../docs/adr/0017-quality-is-kept-in-the-mean.md)). *Broken*: below the target by more than 1.64 standard errors of the judged rows.\n",
             "| labels | `quality` | rule | to the large model | quality kept | cases that kept the target | broken |", "|---:|---:|---|---:|---:|---:|---:|"]
    for labels in (100, 300, 1000):
        told = {source: [one for one in by.get((source, labels), []) if one.promise] for source in DEV}
        sources = [source for source in DEV if told[source]]
        for at, quality in enumerate(PROMISED):
            for rule in RULES:
                rows = [np.concatenate([one.promise[rule][:, at] for one in told[source]]) for source in sources]
                if rows:
                    up, kept = (np.mean([one[:, figure].mean() for one in rows]) for figure in (0, 1))
                    held, broken = np.mean([(one[:, 1] >= quality).mean() for one in rows]), np.mean([(one[:, 2] < -1.64).mean() for one in rows])
                    lines.append(f"| {labels:,} | {quality:g} | {rule} | {100 * up:.0f} % | {100 * kept:.1f} % | {100 * held:.0f} % | {100 * broken:.0f} % |")
    return "\n".join([*lines, ""]) if len(lines) > 4 else ""


def plots(results: Sequence[Result], folder: Path) -> None:
    """Recovery curves of the public protocol as SVG."""
    for source in PUBLIC:
        found = [one for one in results if one.source == source and one.draw >= 0 and one.labels in (650, 1500)]
        if found:
            names = [name for name in ("random", "prompt length", "TF-IDF + ridge", "kNN", *OURS) if _with(found, name)]
            lines = {name: (np.linspace(0, 1, 51), np.mean([one.curves[name][1] for one in _with(found, name)], axis=0)) for name in names}
            (folder / f"{source.split()[1].lower()}.svg").write_text(svg.lines(lines, f"{source}: share of the gap recovered", "share of calls to the large model"))


def _names(found: Sequence[Result]) -> list[str]:
    return [name for name in ORDER if any(name in one.figures for one in found)]


def _bold(name: str) -> str:
    return f"**{name}**" if name in OURS else name


def _mean(found: Sequence[Result], name: str, figure: int) -> str:
    return f"{100 * np.mean([one.figures[name][0, figure] for one in found]):.1f}"


def _spread(values: Any) -> str:
    half = 1.96 * np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return f"{np.mean(values):.3f} ± {half:.3f}"
