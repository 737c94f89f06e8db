"""Stage `embedding`: what a trained classifier expects of each tier, with a lower bound and the evidence behind it.

The static half runs here, in the path, for every request that comes so far. `refined` is the other half: the same query
with a sentence vector, which costs milliseconds on another thread and is asked for only where it may change the decision
(`Decision.margin`). What is unlike everything that was labelled is marked, and goes to the reference tier whatever its
scores are.

Why are answers remembered? A harness asks again with every tool's result, and the user's last words, which scores go by,
stay the same over dozens of requests. Why only from the second time on? Most words are said once, and a hundred answers that nobody asks for
again would push out of the core's memory what each new prompt needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Protocol

from pointsman.classify.columns import Column
from pointsman.classify.heads.query import Query
from pointsman.classify.seen import Seen
from pointsman.core.decision import Refine, Scores, StageResult, TierScore
from pointsman.core.request import ChatRequest

if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy as np
    from numpy.typing import NDArray

    from pointsman.classify.heads.predicted import Row

    Vector: TypeAlias = NDArray[np.float32]

REMEMBERED = 256
"""Answers kept, about a kilobyte each: conversations that go on at once."""
HEARD = 512
"""Hashes kept of words that were said once."""
NAME = "embedding"


class Predicts(Protocol):
    """An artifact ready to answer: a trained scorer, or the shipped ladder."""

    @property
    def models(self) -> tuple[str, ...]: ...

    @property
    def sentence(self) -> str | None: ...

    @property
    def provenance(self) -> dict[str, Any]: ...

    @property
    def kernel(self) -> str: ...

    def text(self, query: Query) -> str: ...

    def row(self, query: Query, sentence_vector: Vector | None = None) -> Row: ...


class Embedding:
    """Scores the tiers that its artifact knows; abstains when no user said a word."""

    name = NAME

    def __init__(self, scorer: Predicts, columns: Mapping[str, Column], *, is_generic: bool, seen: Seen | None = None) -> None:
        """`columns`: tier -> where its model stands in a row of scores, in ladder order. `is_generic`: the artifact was
        trained on other people's traffic, so that its scores rank and promise nothing."""
        self._scorer, self._columns, self._is_generic = scorer, dict(columns), is_generic
        self._seen = Seen() if seen is None else seen
        self._heard: set[int] = set()
        self._said: dict[tuple[bytes, tuple[float, ...]], Refine] = {}
        # Where every tier has a model of its own: where that stands. None: some tier lies between two.
        alone = all(len(column) == 1 for column in self._columns.values())
        self._places = tuple((tier, column[0][0]) for tier, column in self._columns.items()) if alone else None
        self._expects = ", ".join(f"{tier.replace('%', '%%')} %.2f" for tier in self._columns)
        # The kernel makes the shipped guess in the time that its key would take.
        self._remembers = not (is_generic and scorer.kernel.startswith("compiled"))

    def classify(self, request: ChatRequest, so_far: StageResult) -> StageResult:
        """Refine with a score for every tier that the artifact knows, or None."""
        about, features = self._seen.of(request)
        if features is None or not self._columns:
            return None
        query = Query.of(request, about, features)
        if not self._remembers:
            return self._refined(query, None)
        heard = hash(query.data)
        if heard not in self._heard:
            if len(self._heard) >= HEARD:
                self._heard.clear()
            self._heard.add(heard)
            return self._refined(query, None)
        key = (blake2b(query.data, digest_size=16).digest(), query.structural)
        said = self._said.get(key)
        if said is None:
            if len(self._said) >= REMEMBERED:
                self._said.clear()
            said = self._said[key] = self._refined(query, None)
        return said

    @property
    def kept(self) -> int:
        """Answers that are remembered."""
        return len(self._said)

    def query(self, request: ChatRequest) -> Query | None:
        """What would be looked at again, with a sentence vector (of its `text`); None when there is nothing to read."""
        about, features = self._seen.of(request)
        self._seen.forget()
        return None if features is None else Query.of(request, about, features)

    def text(self, query: Query) -> str:
        """The part of it that a sentence vector is made of."""
        return self._scorer.text(query)

    def refined(self, query: Query, vector: Vector) -> Refine:
        """The scores with a sentence vector: they take the place of the static ones."""
        return self._refined(query, vector)

    def _refined(self, query: Query, vector: Vector | None) -> Refine:
        said = self._scorer.row(query, vector)
        p, lower, made = said.p, said.lower, said.tokens
        evidence = int(said.evidence)
        tokens: dict[str, float] = {}
        if (places := self._places) is not None:
            scores = {tier: TierScore(p[at], lower[at], evidence) for tier, at in places}
            if made is not None:
                tokens = {tier: made[at] for tier, at in places}
        else:
            scores = {tier: TierScore(_at(column, p), _at(column, lower), evidence) for tier, column in self._columns.items()}
            if made is not None:
                tokens = {tier: _at(column, made) for tier, column in self._columns.items()}
        return Refine(Scores(scores, not self._is_generic, said.is_foreign, tokens), self._reason(scores, evidence, said.is_foreign))

    def _reason(self, scores: dict[str, TierScore], evidence: int, is_foreign: bool) -> str:
        expects = self._expects % tuple([score.p for score in scores.values()])
        if is_foreign:
            return f"unlike anything it was trained on, so that {expects} is worth little"
        if self._is_generic:
            return f"a generic guess, not from your traffic: {expects}"
        near = f"about {evidence}" if evidence else "no"
        return f"expects {expects}, going by {near} similar labelled prompt{'s' * (evidence != 1)}"


def _at(column: Column, row: Sequence[float]) -> float:
    return sum(row[at] * share for at, share in column)
