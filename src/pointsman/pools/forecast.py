"""How long the next first token will take, learned from the last ones: a line through (prompt tokens ahead, seconds).

Why a line? An engine works through prompts one after the other, so the wait grows with the tokens of those that came before
and have not begun, this one's among them; where the line begins is what an answer takes anyway. Slope and beginning
are the endpoint's own: a slow one has a steeper line, and a cache that finds half of each prompt a flatter one.

Least squares with older answers fading. Two things it must not do: foretell from a few answers, and say that more work
makes an endpoint quicker.

What before there are enough? The line of a sibling of the middle, steeper by as much as the few answers that have come took longer than it
says (`Borrowed`): the slowest endpoint of a pool has its ten answers last, and is the one that must not be taken for one of the middle. Of
a pool that has just started all endpoints' first answers make one line.
"""

from __future__ import annotations

FADE = 0.05
"""Weight of the newest answer: some twenty of them, seconds of a busy endpoint."""
LEAST = 10
"""Answers before anything is foretold."""
TRUST = 2.0
"""Answers that a sibling's line is worth: of an endpoint three times as slow twice the usual is expected after its second answer, and two and a
half times after its sixth."""
LEAST_SPREAD = 1e-6
"""Of the mean square of the tokens ahead, what their variance must be before it is more than rounding."""


class Forecast:
    """One endpoint's line. A few hundred nanoseconds a call."""

    __slots__ = ("_ahead", "_answers", "_product", "_seconds", "_square", "token_s")

    def __init__(self) -> None:
        self._answers = 0
        self.token_s = 0.0
        """What a token more takes: the slope. 0 = nothing was seen of it."""
        # Fading means of: tokens ahead, seconds, their product, the square of the tokens.
        self._ahead = self._seconds = self._product = self._square = 0.0

    def learn(self, ahead: int, seconds: float) -> None:
        """A stream that had `ahead` tokens before its first token, its own among them, got it after `seconds`."""
        self._answers += 1
        weight = max(FADE, 1.0 / self._answers)
        self._ahead += weight * (ahead - self._ahead)
        self._seconds += weight * (seconds - self._seconds)
        self._product += weight * (ahead * seconds - self._product)
        self._square += weight * (ahead * ahead - self._square)
        # Prompts of one length show no slope, only rounding.
        spread = self._square - self._ahead * self._ahead
        is_spread = spread > LEAST_SPREAD * self._square
        self.token_s = max(0.0, (self._product - self._ahead * self._seconds) / spread) if is_spread else 0.0

    def expects(self, ahead: int) -> float | None:
        """Seconds to a first token behind so many tokens; None = too few answers to say."""
        if self._answers < LEAST:
            return None
        seconds = self._seconds + self.token_s * (ahead - self._ahead)
        return seconds if seconds > 0.0 else 0.0

    @property
    def is_known(self) -> bool:
        """Enough answers have come."""
        return self._answers >= LEAST

    def times(self, usual: Forecast) -> float:
        """How many times what `usual` foretells the answers of this one have taken, as far as so few can say. At least 1: that they
        came quickly says little about the queue behind them."""
        answers = self._answers
        if not answers or not (foretold := usual.expects(round(self._ahead))):
            return 1.0
        return max(1.0, (answers * self._seconds / foretold + TRUST) / (answers + TRUST))

    def __repr__(self) -> str:
        return f"<Forecast [{self._answers} answers, {self._seconds:.3g} s behind {self._ahead:.0f} tokens]>"


class Borrowed:
    """A sibling's line, as steep as an endpoint's few answers make it."""

    __slots__ = ("_times", "_usual", "token_s")

    def __init__(self, usual: Forecast, times: float) -> None:
        self._usual, self._times = usual, times
        self.token_s = usual.token_s * times

    def expects(self, ahead: int) -> float | None:
        """As `Forecast.expects`."""
        seconds = self._usual.expects(ahead)
        return None if seconds is None else seconds * self._times

    def __repr__(self) -> str:
        return f"<Borrowed [{self._times:.3g} times {self._usual!r}]>"
