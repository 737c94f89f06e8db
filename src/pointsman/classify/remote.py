"""Stage `remote`, the part that only computes: what an operator's own classifier is sent, and what its answer means.

Sent, as JSON (form `pointsman`), the user's own words, facts about the request, and who may be named in the answer:

    {"version": 1, "route": "auto", "tenant": "acme", "tiers": ["small", "large"],
     "text": "Where is my order?", "cut": false,
     "facts": {"chars": 18, "tokens": 5, "script": "latin", "turns": 1, "tools": 0, "images": 0, "json_schema": false, "max_tokens": null}}

Never sent: keys and their names, headers, system prompts, other turns, the results of tools.

Answered with one of

    {"tier": "small", "confidence": 0.9, "reason": "a question about an order"}       `confidence` and `reason` if it likes
    {"scores": {"small": 0.93, "large": 0.99}}                                       P(this tier's answer is acceptable)
    {} or nothing                                                                    it abstains

A tier is named by its name, by what `names` calls it, by its pools or their models, or by its rung from 1. Form `vllm` is the
`/classify` of vLLM and SGLang, form `labels` the list of labels and scores of text-embeddings-inference. Their classes say which tier
a prompt needs, so that rung k will do with the probability that it needs k or a lower one.

Why strict where it matters? A number that came as text, a score above 1, a tier that nobody knows: whoever wrote that service meant
something else than we would read, and a request that goes where the scores sent it anyway is better than one sent by a misreading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from pointsman.classify import features
from pointsman.classify.subject import Subject
from pointsman.core.decision import Decide, Refine, Scores, StageResult, Target, TierScore
from pointsman.core.excerpt import ends
from pointsman.core.request import ChatRequest
from pointsman.core.settings import RemoteSettings, Settings

VERSION: Final = 1
MOST_BYTES: Final = 64 * 1024
"""Of an answer: a class, or a score for each tier, is a few hundred."""
KNOWN_MASS: Final = 0.5
"""What the classes that mean tiers must have together: below, its word is about something else."""
REASON_CHARS: Final = 160
_encode = msgspec.json.encode


class Garbage(ValueError):
    """The answer is none of what was asked for; says why."""


class _Said(msgspec.Struct):
    tier: str | int | None = None
    confidence: float | None = None
    scores: dict[str, float] | None = None
    reason: str | None = None


class _Classified(msgspec.Struct):
    probs: list[float]


class _Classes(msgspec.Struct):
    data: list[_Classified]


class _Labelled(msgspec.Struct):
    label: str
    score: float


_said = msgspec.json.Decoder(_Said).decode
_classes = msgspec.json.Decoder(_Classes).decode
_labels = msgspec.json.Decoder(list[_Labelled]).decode
_nested = msgspec.json.Decoder(list[list[_Labelled]]).decode


def question(settings: RemoteSettings, route: str, ladder: Sequence[str], request: ChatRequest, about: Subject) -> bytes:
    """The body that is posted."""
    text = ends(about.data.decode("utf-8", "replace"), settings.max_chars)
    if settings.form == "vllm":
        return _encode({"input": text} | ({"model": settings.model} if settings.model else {}))
    if settings.form == "labels":
        return _encode({"inputs": text, "truncate": True})
    read = features.read(request, about)
    facts: dict[str, Any] = {
        "chars": about.chars, "tokens": read.tokens, "script": read.script, "turns": read.turns, "tools": request.tools, "images": request.images,
        "json_schema": request.needs.json_schema, "max_tokens": request.max_tokens,
    }
    return _encode({"version": VERSION, "route": route, "tenant": request.caller.tenant, "tiers": ladder, "text": text,
                    "cut": about.cut or len(about.text) > settings.max_chars, "facts": facts})


def tiers_of(settings: Settings, ladder: Sequence[str], names: Mapping[str, str]) -> dict[str, str]:
    """What an answer may call a tier -> the tier, in small letters; the first to claim a name has it."""
    found: dict[str, str] = {}
    for tier in ladder:
        found.setdefault(names.get(tier, tier).lower(), tier)
    for tier in ladder:
        pools = settings.tiers[tier].pools
        for name in (tier, *pools, *(settings.pools[pool].model for pool in pools)):
            found.setdefault(name.lower(), tier)
    return found


def meaning(settings: RemoteSettings, ladder: Sequence[str], tiers: Mapping[str, str], body: bytes) -> StageResult:
    """What the answer says; None = it abstains. Raises Garbage."""
    body = body.strip()
    if not body or body == b"null":
        return None
    try:
        if settings.form == "vllm":
            return _of_classes(settings, ladder, body)
        if settings.form == "labels":
            return _of_labels(settings, ladder, tiers, body)
        return _of_word(settings, ladder, tiers, _said(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise Garbage(f"its answer is not what was asked for: {str(exc)[:REASON_CHARS]}") from exc


def _of_word(settings: RemoteSettings, ladder: Sequence[str], tiers: Mapping[str, str], said: _Said) -> StageResult:
    why = f": {' '.join(said.reason.split())[:REASON_CHARS]}" if said.reason else ""
    if said.scores is not None:
        scores = {tier: p for name, p in said.scores.items() if (tier := tiers.get(name.strip().lower())) is not None}
        if said.scores and not scores:
            raise Garbage(f"it scores none of {', '.join(ladder)}")
        if wrong := [name for name, p in said.scores.items() if not 0.0 <= p <= 1.0]:
            raise Garbage(f"its score of {wrong[0][:40]!r} is not between 0 and 1")
        return _refined(settings, ladder, scores, why) if scores else None
    if said.tier is None:
        return None
    tier = _named(ladder, tiers, said.tier)
    sure = said.confidence
    if sure is not None and not 0.0 <= sure <= 1.0:
        raise Garbage("its confidence is not between 0 and 1")
    if sure is not None and sure < settings.min_confidence:
        return None
    return Decide(Target("tier", tier), f"your classifier says {tier}{'' if sure is None else f' ({sure:.2f})'}{why}")


def _named(ladder: Sequence[str], tiers: Mapping[str, str], said: str | int) -> str:
    if isinstance(said, int) and 1 <= said <= len(ladder):
        return ladder[said - 1]
    found = tiers.get(said.strip().lower()) if isinstance(said, str) else None
    if found is None:
        raise Garbage(f"it names {str(said)[:40]!r}, which is none of {', '.join(ladder)}")
    return found


def _of_classes(settings: RemoteSettings, ladder: Sequence[str], body: bytes) -> StageResult:
    said, classes = _classes(body), settings.classes or tuple(ladder)
    if not said.data:
        return None
    probs = said.data[0].probs
    if len(probs) != len(classes):
        raise Garbage(f"its head has {len(probs)} classes, and {len(classes)} are expected")
    return _of_shares(settings, ladder, dict(zip(classes, probs, strict=True)))


def _of_labels(settings: RemoteSettings, ladder: Sequence[str], tiers: Mapping[str, str], body: bytes) -> StageResult:
    is_nested = body[1:].lstrip()[:1] == b"["
    rows = next(iter(_nested(body)), []) if is_nested else _labels(body)
    if not rows:
        return None
    shares: dict[str, float] = {}
    for row in rows:
        if (tier := tiers.get(row.label.strip().lower())) is not None:
            shares[tier] = shares.get(tier, 0.0) + row.score
    return _of_shares(settings, ladder, shares)


def _of_shares(settings: RemoteSettings, ladder: Sequence[str], shares: Mapping[str, float]) -> StageResult:
    """From the probability that a prompt needs a tier to the probability that a tier will do."""
    mass = sum(shares.values())
    if any(not 0.0 <= share <= 1.0 for share in shares.values()) or not KNOWN_MASS <= mass <= 1.02:
        raise Garbage(f"its classes for {', '.join(ladder)} add up to {mass:.2f}, not to about 1")
    scores, sum_ = {}, 0.0
    for tier in ladder:
        sum_ += shares.get(tier, 0.0)
        scores[tier] = min(1.0, sum_ / mass)
    return _refined(settings, ladder, scores, "")


def _refined(settings: RemoteSettings, ladder: Sequence[str], scores: Mapping[str, float], why: str) -> Refine:
    by_tier = {tier: TierScore(scores[tier], scores[tier]) for tier in ladder if tier in scores}
    says = ", ".join(f"{tier} {score.p:.2f}" for tier, score in by_tier.items())
    return Refine(Scores(by_tier, settings.calibrated), f"your classifier expects {says}{why}")
