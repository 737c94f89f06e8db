"""How often something may be done that costs: a share of requests, and an amount of money per hour.

Why count requests and not seconds? A share of the last hundred requests means the same at one request a minute and at a
thousand a second.
"""

from __future__ import annotations

from collections import deque
from math import ceil
from typing import Final

from pointsman.core.price import NANO

REQUESTS: Final = 100
"""Length of the window that a share is taken of."""
HOUR_MIN: Final = 60


class Share:
    """At most `share` of the last hundred requests, and of the first ones rounded up, so that the very first may be asked about."""

    def __init__(self, share: float) -> None:
        self.share = share
        self._last: deque[bool] = deque(maxlen=REQUESTS)
        self._taken = 0

    def saw(self) -> None:
        """One more request."""
        last = self._last
        if len(last) == last.maxlen and last[0]:
            self._taken -= 1
        last.append(False)

    @property
    def has_some(self) -> bool:
        return self._taken < ceil(self.share * len(self._last) - 1e-9)

    @property
    def has_some_for_next(self) -> bool:
        """What `has_some` will be when one more request was seen."""
        last = self._last
        if len(last) < REQUESTS:
            return self._taken < ceil(self.share * (len(last) + 1) - 1e-9)
        return self._taken - last[0] < ceil(self.share * REQUESTS - 1e-9)

    def take(self) -> bool:
        """It is done for one of the requests seen, and counts from now; False = the share is used up."""
        last = self._last
        if not self.has_some:
            return False
        for back in range(len(last) - 1, -1, -1):  # nearly always the last one: those that came meanwhile are few
            if not last[back]:
                last[back] = True
                self._taken += 1
                return True
        return False

    def __repr__(self) -> str:
        return f"<Share {self.share:g} [{self._taken} of the last {len(self._last)}]>"


class Purse:
    """Dollars per hour, over the last sixty minutes. Times are monotonic seconds."""

    def __init__(self, usd_per_hour: float | None) -> None:
        """None = as much as it takes."""
        self._most = None if usd_per_hour is None else round(usd_per_hour * NANO)
        # (minute, nano-dollars), oldest first.
        self._spent: deque[tuple[int, int]] = deque()
        self._sum = 0

    def has_some(self, now: float) -> bool:
        if self._most is None:
            return True
        oldest = int(now // 60) - HOUR_MIN
        while self._spent and self._spent[0][0] <= oldest:
            self._sum -= self._spent.popleft()[1]
        return self._sum < self._most

    def pay(self, nano_usd: int, now: float) -> None:
        minute = int(now // 60)
        if self._spent and self._spent[-1][0] == minute:
            nano_before = self._spent.pop()[1]
            self._spent.append((minute, nano_before + nano_usd))
        else:
            self._spent.append((minute, nano_usd))
        self._sum += nano_usd

    def __repr__(self) -> str:
        return f"<Purse [{self._sum / NANO:.6f} dollars in this hour]>"
