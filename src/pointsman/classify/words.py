"""A Decision in words: what `pointsman explain` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pointsman.core.decision import Decision, Scores, StageView

_BAR = 20


def words(decision: Decision, prices: Mapping[str, float | None] | None = None, quality: float | None = None) -> str:
    """Several lines: the choice, every stage's view, scores with bars, the gate.

    `prices`: tier -> dollars per typical request (`Decider.prices`); None = not shown. `quality`: the target, marked
    beside the scores.
    """
    return "\n".join((*_choice(decision, prices or {}), "", *_stages(decision), *_scores(decision, prices or {}, quality),
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
