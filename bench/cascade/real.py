"""Real answers of SmolLM2-135M on three rungs, a simulated expert above them: what a cascade buys, by who looks at the answers.

Rungs: `zero`, `few`, `vote` (see `collect.py`) and `expert`, which is simulated: right with probability `EXPERT_RIGHT` whatever the
task, priced per token at `EXPERT_TIMES` the small model's, with a stated latency model. Tasks are split by half: on the one half
the router is trained and verifiers are calibrated, on the other everything is measured.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from tasks import KINDS, Task

from pointsman.artifact import Artifact
from pointsman.cascade.verifiers.json_schema import JsonSchemaVerifier
from pointsman.cascade.verifiers.logprobs import features_of
from pointsman.cascade.verifiers.well_formed import WellFormedVerifier
from pointsman.classify.heads.query import Query
from pointsman.classify.heads.scorer import Scorer
from pointsman.core.answer import Answer, Choice, Token
from pointsman.core.request import ChatRequest, Kind, Message
from pointsman.core.verdict import Rates, Verdict
from pointsman.learn.fit import fit
from pointsman.learn.left_out import left_out
from pointsman.learn.overlap import Overlap, overlaps_of
from pointsman.learn.reliance import rates_beyond, rates_of, scores_left_out, scores_of, weights_of
from pointsman.learn.rungs import Rungs, rungs_of, words_of
from pointsman.learn.table import OutcomeTable
from pointsman.verification.panel import combined

FILE = Path(__file__).with_name("answers.jsonl.gz")
RUNGS = ("zero", "few", "vote")
TIERS = (*RUNGS, "expert")
EXPERT_RIGHT, EXPERT_TIMES = 0.95, 20.0
OUTPUT_TIMES = 4.0
"""An output token costs so many input tokens, as with most providers."""
EXPERT_FIRST_S, EXPERT_TOKENS_PER_S = 0.6, 30.0
GUESSED = Rates(0.3, 0.3)
"""Of log-probabilities where a rung and task have too few answers of either kind."""

Row = dict[str, Any]


def answers(file: Path = FILE) -> dict[str, dict[str, Row]]:
    """Task -> rung -> what was kept; only tasks with all rungs. A file that is still being written is read as far as it goes."""
    found: dict[str, dict[str, Row]] = {}
    try:
        with gzip.open(file, "rt") as lines:
            for line in lines:
                row = json.loads(line)
                found.setdefault(row["task"], {})[row["rung"]] = row
    except (EOFError, zlib.error, json.JSONDecodeError):
        pass
    return {task: rows for task, rows in found.items() if set(RUNGS) <= set(rows)}


class Collected:
    """All tasks with their answers, as a ladder."""

    def __init__(self, made: list[Task], found: Mapping[str, Mapping[str, Row]], seed: int = 1) -> None:
        self.tasks = [task for task in made if task.id in found]
        self.rows = [[found[task.id][rung] for rung in RUNGS] for task in self.tasks]
        self.kinds = np.array([task.kind for task in self.tasks])
        rng = Random(seed)
        is_right = [rng.random() < EXPERT_RIGHT for _ in self.tasks]
        self.quality = np.array([[*(float(row["right"]) for row in rows), float(right)] for rows, right in zip(self.rows, is_right, strict=True)])
        tokens = np.array([[_tokens(row) for row in rows] for rows in self.rows])
        expert = np.array([[rows[0]["input_tokens"] + OUTPUT_TIMES * rows[1]["output_tokens"]] for rows in self.rows]) * EXPERT_TIMES
        self.usd = np.concatenate([tokens, expert], axis=1)
        expert_s = np.array([[EXPERT_FIRST_S + rows[1]["output_tokens"] / EXPERT_TOKENS_PER_S] for rows in self.rows])
        self.seconds = np.concatenate([_seconds(self.rows), expert_s], axis=1)
        self.busy = sum(bool(row.get("busy")) for rows in self.rows for row in rows)
        """Answers whose seconds are no measurement."""
        self.is_test = self._halves(seed)
        # What a router expects of the calibration half, each row without its own outcome: verifiers are measured beyond that.
        self._before = np.zeros_like(self.quality)
        known = np.flatnonzero(~self.is_test)
        self._before[known] = left_out([self.tasks[i].prompt for i in known], self.quality[known])

    def _halves(self, seed: int) -> np.ndarray:
        """Half of each kind."""
        found = np.zeros(len(self.tasks), dtype=bool)
        rng = np.random.default_rng(seed)
        for kind in KINDS:
            at = rng.permutation(np.flatnonzero(self.kinds == kind))
            found[at[: len(at) // 2]] = True
        return found

    def ladder(self) -> Rungs:
        """The test half; prices and delays are expected as they were on the calibration half, kind by kind."""
        p = self._expected()
        test = self.is_test
        made = rungs_of(TIERS, self.quality[test], self.usd[test], seconds=self.seconds[test], p=p, task=tuple(self.kinds[test]))
        return replace(made, expected_usd=self._means(self.usd)[test], expected_s=self._means(self.seconds)[test])

    def overlaps(self) -> list[Overlap]:
        """How far rungs succeed together on the calibration half, over all tasks and task by task."""
        known = ~self.is_test
        return overlaps_of(TIERS, self.quality[known], self._before[known], tuple(self.kinds[known]))

    def _means(self, figures: np.ndarray) -> np.ndarray:
        found = np.empty_like(figures)
        for kind in KINDS:
            here = self.kinds == kind
            found[here] = figures[here & ~self.is_test].mean(axis=0)
        return found

    def _expected(self) -> np.ndarray:
        """By an artifact trained on the calibration half, as `pointsman train` makes it."""
        known = [i for i in range(len(self.tasks)) if not self.is_test[i]]
        prompts = [task.prompt for task in self.tasks]
        table = OutcomeTable([self.tasks[i].id for i in known], [prompts[i] for i in known], TIERS, self.quality[known])
        draft = fit(table, seed=1, sentence=None, progress=lambda stage, done: None)
        scorer = Scorer.load(Artifact(draft.manifest, draft.arrays, ""))
        asked = [prompts[i] for i in range(len(prompts)) if self.is_test[i]]
        return np.asarray(scorer.score([Query.of_prompt(prompt) for prompt in asked]).p)

    # -----------------------------------------------------------------------------------------------------
    # Who looks

    def exact(self, ladder: Rungs) -> Rungs:
        """The operator's own test: right is right. Its rates are those of the calibration half, with two made-up answers."""
        rates = {}
        for place, rung in enumerate(RUNGS):
            said = self.quality[~self.is_test, place]
            rates[rung] = rates_of(said, said) or Rates(0.02, 0.02)
        score = np.full(ladder.quality.shape, np.nan)
        for place, rung in enumerate(RUNGS):
            no, yes = words_of(rates[rung])
            score[:, place] = np.where(ladder.quality[:, place] > 0, yes, no)
        return ladder.judged_with(score, rates)

    def logprobs(self, ladder: Rungs) -> Rungs:
        """The engine's own log-probabilities, calibrated by rung and task."""
        return self._judged(ladder, lambda place, row, weights, rates: [("logprobs", rates, _graded(weights, row))])

    def mixed(self, ladder: Rungs) -> Rungs:
        """Well-formedness, the JSON schema, log-probabilities, and how many of the `vote` rung's four samples agree."""
        well_formed, schema = WellFormedVerifier(), JsonSchemaVerifier()

        def said(place: int, row: Row, weights: dict[str, float] | None, rates: Rates) -> list[tuple[str, Rates, Verdict]]:
            request, answer = self._request(row["task"]), _answer(row)
            found = [("logprobs", rates, _graded(weights, row)), ("well_formed", well_formed.rates, well_formed.verify(request, answer)),
                     ("json_schema", schema.rates, schema.verify(request, answer))]
            if row["samples"] > 1:
                found.append(("agreement", Rates(0.3, 0.3), _agreed(row)))
            return found

        return self._judged(ladder, said)

    def _judged(self, ladder: Rungs, said: Any) -> Rungs:
        shape = ladder.quality.shape
        score, no, yes = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan)
        test = np.flatnonzero(self.is_test)
        for kind in KINDS:
            here = np.flatnonzero(self.kinds[test] == kind)
            for place in range(len(RUNGS)):
                weights, rates = self._calibrated(place, kind)
                for i in here:
                    spoken = said(place, self.rows[test[i]][place], weights, rates or GUESSED)
                    found = combined((name, each, verdict, 0.0) for name, each, verdict in spoken)
                    score[i, place] = np.nan if found.score is None else 0.0 if found.is_rejected else 1 / (1 + np.exp(-found.evidence))
                if rates is not None:
                    no[here, place], yes[here, place] = words_of(rates)
        return replace(ladder, score=np.where(np.isfinite(no), score, np.nan), no=no, yes=yes)

    def _calibrated(self, place: int, kind: str) -> tuple[dict[str, float] | None, Rates | None]:
        """Weights and error rates of a rung's log-probabilities on a task; of all tasks where that has too few answers, good or bad."""
        for known in ([i for i in np.flatnonzero(~self.is_test) if self.kinds[i] == kind], list(np.flatnonzero(~self.is_test))):
            features, quality = [_features(self.rows[i][place]) for i in known], self.quality[known, place]
            p = self._before[known, place]
            weights = weights_of(features, quality, p=p)
            # Measured on answers that the weights had not seen: what a fit says of its own rows flatters it.
            rates = None if weights is None else rates_beyond(scores_left_out(features, quality, np.arange(len(known)), p=p), quality, p)
            if rates is not None:
                return weights, rates
        return None, None

    def _request(self, task_id: str) -> ChatRequest:
        task = next(task for task in self.tasks if task.id == task_id)
        body: dict[str, Any] = {"messages": [{"role": "user", "content": task.prompt}]}
        if task.schema is not None:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": task.schema}}
        return ChatRequest(Kind.CHAT, json.dumps(body).encode(), "auto", (Message("user", task.prompt),), max_tokens=task.max_tokens)


def _seconds(table: list[list[Row]]) -> np.ndarray:
    """(tasks, rungs). Where the machine did other work, the seconds of the answer of like kind, rung and length that it was alone with."""
    found = np.array([[row["seconds"] for row in rows] for rows in table])
    for place in range(len(RUNGS)):
        column = [rows[place] for rows in table]
        for kind in KINDS:
            alone = [i for i, row in enumerate(column) if row["kind"] == kind and not row.get("busy")]
            lengths = np.array([column[i]["output_tokens"] * column[i]["samples"] for i in alone])
            used = np.zeros(len(alone))
            for i, row in enumerate(column):
                if row["kind"] == kind and row.get("busy") and alone:
                    # Of equally long ones the one that was taken least: each stands for as many.
                    far = np.abs(lengths - row["output_tokens"] * row["samples"])
                    at = int(np.lexsort((used, far))[0])
                    used[at] += 1
                    found[i, place] = found[alone[at], place]
    return found


def _tokens(row: Row) -> float:
    """Price in input tokens of the small model. The engine counts the output of one sample, whatever it was asked for."""
    return float(row["input_tokens"] + OUTPUT_TIMES * row["output_tokens"] * row["samples"])


def _features(row: Row) -> dict[str, float]:
    return features_of([Token("", one) for one in row["logprobs"]])


def _graded(weights: dict[str, float] | None, row: Row) -> Verdict:
    if weights is None:
        return Verdict(None)
    score = float(scores_of(weights, [_features(row)])[0])
    return Verdict(score if score == score else None, is_graded=True)


def _agreed(row: Row) -> Verdict:
    agreeing = round(row["agreement"] * row["samples"]) - 1
    return Verdict((agreeing + 1) / (row["samples"] + 1), is_graded=True)


def _answer(row: Row) -> Answer:
    return Answer((Choice(row["answer"], finish_reason=row["finish"]),))
