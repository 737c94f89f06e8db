"""How sure the model was of its words: the token log-probabilities, as figures and as a score.

Free where the engine runs here, and the best signal that needs no training: mean log-probability tells right from wrong with
an AUROC of .65 to .71 on a model's home ground and .72 to .83 away from it (arXiv 2605.02241). On long answers low quantiles
do better than the mean (Gupta et al., arXiv 2404.10136); the sum is biased by length and not offered.

What the figures mean differs between models, quantisations and tasks. Until it is calibrated the score leans on a guess.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import exp, log
from typing import Final

from pointsman.core.answer import Answer, Choice, Token
from pointsman.core.request import ChatRequest
from pointsman.core.verdict import ABSTAINS, Traits, Verdict, probability
from pointsman.core.verifying import Logprobs

KNOWN_MIN: Final = 0.5
"""Share of the answer's tokens that must have a figure."""
QUANTILES: Final = ((0.0, "min"), (0.05, "q05"), (0.1, "q10"), (0.2, "q20"), (0.5, "median"))
SIGNALS: Final = ("mean", "min", "q05", "q10", "q20", "median", "worst_window", "margin", "entropy", "first")

_THOUGHT_ENDS: Final = ("</think>", "</thinking>", "<|end_of_thought|>", "<|channel|>final<|message|>")


class LogprobsVerifier:
    """Graded. Reads the first choice."""

    def __init__(self, settings: Logprobs | None = None) -> None:
        self._settings = settings = settings or Logprobs()
        self.name, self.rates = settings.name, settings.rates
        self.traits = Traits(needs_logprobs=True, top_logprobs=settings.alternatives, needs_whole_answer=False,
                             may_reject=settings.floor is not None)
        self._curve = sorted(settings.curve)

    def verify(self, request: ChatRequest, answer: Answer) -> Verdict:
        if not answer.choices:
            return ABSTAINS
        tokens = answer_tokens(answer.choices[0])
        if tokens is None:
            return Verdict(None, "no log-probabilities of the answer")
        features = features_of(tokens, self._settings.window)
        if not features:
            return Verdict(None, "too few log-probabilities")
        settings = self._settings
        if settings.weights:
            missing = next((name for name in settings.weights if name != "bias" and name not in features), None)
            if missing is not None:
                return Verdict(None, f"no {missing} in these log-probabilities", features=features)
            odds = sum(weight * features.get(name, 1.0) for name, weight in settings.weights.items())
            return Verdict(probability(odds), f"{probability(odds):.2f} by its log-probabilities", is_graded=True, features=features)
        signal = features.get(settings.signal)
        if signal is None:
            return Verdict(None, f"no {settings.signal} in these log-probabilities", features=features)
        words = f"{settings.signal} log-probability {signal:.2f}"
        if settings.floor is not None and signal < settings.floor:
            return Verdict(0.0, f"{words} is below {settings.floor:g}", is_hard=True, features=features)
        return Verdict(_interpolated(self._curve, signal), words, is_graded=True, features=features)


def answer_tokens(choice: Choice) -> tuple[Token, ...] | None:
    """The tokens of what the client reads, without those of thoughts; None = nobody can tell them apart, or there are none.

    Engines with a reasoning parser take the thoughts out of the text and leave their log-probabilities in.
    """
    tokens = choice.tokens
    if not tokens:
        return None
    for i in range(len(tokens) - 1, -1, -1):
        if tokens[i].text.strip() in _THOUGHT_ENDS:
            return tokens[i + 1 :] or None
    if not choice.reasoning:
        ends = [choice.text.rfind(mark) + len(mark) for mark in _THOUGHT_ENDS if mark in choice.text]
        return _after(tokens, choice.text[max(ends) :]) if ends else tokens
    return _after(tokens, choice.text)


def _after(tokens: tuple[Token, ...], text: str) -> tuple[Token, ...] | None:
    """The last tokens, as many as `text` is long; None when they spell something else."""
    text = text.strip()
    left, at = len(text), len(tokens)
    while left > 0 and at > 0:
        at -= 1
        left -= len(tokens[at].text)
    spelt = "".join(token.text for token in tokens[at:])
    return tokens[at:] if text and text[-32:] in spelt else None


def features_of(tokens: Sequence[Token], window: int = 8) -> dict[str, float]:
    """Figures of an answer; empty when too few of its tokens have one.

    `margin` is the mean of p1 - p2, `entropy` the mean of -sum p log p over the reported alternatives, what they leave
    counted as one more; both only where alternatives were asked for.
    """
    known = [token.logprob for token in tokens if token.logprob is not None]
    if not known or len(known) < KNOWN_MIN * len(tokens):
        return {}
    ranked = sorted(known)
    features = {name: ranked[min(len(ranked) - 1, int(share * len(ranked)))] for share, name in QUANTILES}
    features |= {"mean": sum(known) / len(known), "first": known[0], "tokens": float(len(tokens)),
                 "unknown_share": 1 - len(known) / len(tokens), "worst_window": _worst_window(known, max(1, window))}
    spreads = [token.top for token in tokens if len(token.top) >= 2]
    if len(spreads) >= KNOWN_MIN * len(tokens):
        features["margin"] = sum(exp(top[0][1]) - exp(top[1][1]) for top in spreads) / len(spreads)
        features["entropy"] = sum(map(_entropy, spreads)) / len(spreads)
    return features


def _worst_window(known: list[float], width: int) -> float:
    """The lowest mean of so many tokens in a row: one shaky figure in a long, fluent answer."""
    width = min(width, len(known))
    total = worst = sum(known[:width])
    for i in range(width, len(known)):
        total += known[i] - known[i - width]
        worst = min(worst, total)
    return min(worst / width, 0.0)


def _entropy(top: tuple[tuple[str, float], ...]) -> float:
    shares = [(exp(logprob), logprob) for _, logprob in top]
    rest = max(0.0, 1 - sum(share for share, _ in shares))
    said = -sum(share * logprob for share, logprob in shares)
    return said - (rest * log(rest) if rest > 0 else 0.0)


def _interpolated(curve: Sequence[tuple[float, float]], x: float) -> float:
    """Straight lines between the points, level beyond them."""
    at = bisect_right(curve, (x, 2.0))
    if at == 0 or at == len(curve):
        return curve[0 if at == 0 else -1][1]
    (x0, y0), (x1, y1) = curve[at - 1], curve[at]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0) if x1 > x0 else y1
