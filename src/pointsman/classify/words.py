"""A Decision in words: what `pointsman explain` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pointsman.core.decision import Candidate, Decision, Scores, StageView

_BAR = 20


def words(decision: Decision, prices: Mapping[str, float | None] | None = None, quality: float | None = None) -> str:
    """Several lines: the choice, every stage's view, scores with bars (or the table of candidates, when the decision has
    one), the gate.

    `prices`: tier -> dollars per typical request (`Decider.prices`); None = not shown. `quality`: the target, marked
    beside the scores.
    """
    scores = _candidates(decision, quality) if decision.candidates else _scores(decision, prices or {}, quality)
    return "\n".join((*_choice(decision, prices or {}), "", *_stages(decision), *scores,
                      *_gate(decision), "", f"decided in {_micros(decision.duration_s)}"))


def _choice(decision: Decision, prices: Mapping[str, float | None]) -> Iterator[str]:
    place = f"rung {decision.rung}" if decision.rung else "not on the ladder"
    pool = f", pool {decision.pool}" if decision.pool else ""
    yield f"{decision.route} -> {decision.tier or decision.pool} ({place}{pool}), decided by {decision.decided_by}"
    yield f"  {decision.reason}"
    if decision.system:
        yield f"  adds a system prompt: {decision.system[:120]}"
    if decision.propensity < 1:
        yield f"  by chance, with probability {decision.propensity:.2f}"
    if (price := prices.get(decision.tier)) is not None:
        yield f"  about {_thousand(price)} per 1,000 typical requests (500 tokens in, 200 out)"


def _stages(decision: Decision) -> Iterator[str]:
    yield "stages"
    width = max((len(view.stage) for view in decision.stages), default=0)
    for view in decision.stages:
        took = "" if view.outcome == "skipped" else _micros(view.duration_s)
        yield f"  {view.stage:<{width}}  {view.outcome:<9}  {took:>8}  {_said(view)}".rstrip()


def _said(view: StageView) -> str:
    return f"{view.reason} -> {view.target.kind} {view.target.name}" if view.target is not None else view.reason


def _scores(decision: Decision, prices: Mapping[str, float | None], quality: float | None) -> Iterator[str]:
    scores = _last_scores(decision)
    if scores is None:
        return
    note = "" if scores.calibrated else "; fitted on public outcome data, not on your traffic"
    target = "" if quality is None else f", target {quality:g}"
    yield f"scores: P(acceptable){target}{note}"
    width = max(len(tier) for tier in scores.by_tier)
    for tier, score in scores.by_tier.items():
        filled = round(score.p * _BAR)
        price = prices.get(tier)
        cost = "" if price is None else f"  {_thousand(price)} per 1K"
        chosen = "  <- chosen" if tier == decision.tier else ""
        yield f"  {tier:<{width}}  {'█' * filled}{'░' * (_BAR - filled)}  {score.p:.2f}{cost}{chosen}"


def _candidates(decision: Decision, quality: float | None) -> Iterator[str]:
    scores = _last_scores(decision)
    if scores is None:
        return
    note = "calibrated on your labels" if scores.calibrated else "fitted on public outcome data, not on your traffic"
    target = "" if quality is None else f", target {quality:g}"
    yield f"candidates: P(acceptable){target}; {note}"
    width = max(len(candidate.tier) for candidate in decision.candidates)
    for candidate in decision.candidates:
        chosen = "  <- chosen" if candidate.tier == decision.tier else ""
        yield f"  {candidate.tier:<{width}}  {_bar(candidate.p)}  {_numbers(candidate)}  {_verdict(candidate, scores)}{chosen}".rstrip()
    evidence = max(candidate.evidence for candidate in decision.candidates)
    is_near = next(view.stage for view in reversed(decision.stages) if view.scores is not None) != "heuristic"
    if is_near and not scores.calibrated:
        yield "  evidence: none of yours; train on your own labels, or take the shares of the tiers for what they are"
    elif not evidence:
        yield "  evidence: no labelled prompt is much like this one"
    else:
        yield f"  evidence: about {evidence:,} labelled prompts {'like this one' if is_near else 'in all, none of them yours'}"


def _bar(p: float | None) -> str:
    filled = round((p or 0.0) * _BAR)
    return "█" * filled + "░" * (_BAR - filled)


def _numbers(candidate: Candidate) -> str:
    p = " -  " if candidate.p is None else f"{candidate.p:.2f}"
    lower = "" if candidate.lower is None or candidate.lower == candidate.p else f", at least {candidate.lower:.2f}"
    return f"{p}{lower}  {'price unknown' if candidate.usd is None else _thousand(candidate.usd) + ' per 1K like this'}"


def _verdict(candidate: Candidate, scores: Scores) -> str:
    """Why it is in or out, in a few words."""
    if not candidate.fits:
        return "does not fit"
    if candidate.p is None:
        return "unknown to the classifier"
    if scores.is_foreign:
        return "the classifier does not know such requests"
    beaten = ", dearer and not better" if candidate.is_dominated else ""
    if candidate.clears:
        return ("clears" if candidate.needs is not None else "the reference") + beaten
    if candidate.needs is not None and ((candidate.p if candidate.is_mean else candidate.lower) or 0.0) < candidate.needs:
        return f"misses {candidate.needs:.2f}{beaten}"
    return f"too dear{beaten}"


def _last_scores(decision: Decision) -> Scores | None:
    return next((view.scores for view in reversed(decision.stages) if view.scores is not None), None)


def _gate(decision: Decision) -> Iterator[str]:
    yield "gate"
    width = max((len(view.tier) for view in decision.gate), default=0)
    for view in decision.gate:
        yield f"  {view.tier:<{width}}  {'fits' if view.fits else 'does not fit'}" + (
            "" if view.reason == "fits" else f"  ({view.reason})")


def _micros(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} us"


def _thousand(usd: float) -> str:
    return f"${usd * 1000:.4f}" if usd < 0.001 else f"${usd * 1000:.2f}"
