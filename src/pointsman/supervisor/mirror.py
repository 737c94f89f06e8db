"""What workers do, shown in the supervisor's own pools: whoever asks the supervisor sees the whole router.

It leases nothing itself, so all that its pools hold comes from here.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pointsman.core.clock import Clock
from pointsman.core.fleet import EndpointId, EndpointState
from pointsman.gateway.gateway import Gateway
from pointsman.state.messages import Answered, Leaving, Load, Loads, News, Notices, Times
from pointsman.state.overheard import tell

_NOTHING = Load()


class Mirror:
    """The workers' doings on the gateway of a process that has none."""

    def __init__(self, gateway: Gateway, clock: Clock) -> None:
        self._gateway, self._clock = gateway, clock
        # Which worker, by its life, is finding out whether an endpoint is back.
        self._probers: dict[EndpointId, int] = {}

    def run(self, total: Loads) -> None:
        """This is all that runs."""
        for pool in self._gateway.graph.fleet.pools.values():
            for name in pool.endpoint_ids:
                load = total.get(name, _NOTHING)
                pool.observe_elsewhere(name, load.in_flight, load.tokens)

    def answered(self, answers: dict[EndpointId, Answered]) -> None:
        """These have answered since the last time."""
        now = self._clock.now()
        for pool in self._gateway.graph.fleet.pools.values():
            for endpoint in pool.endpoints:
                more = answers.get(endpoint.id)
                if more is None:
                    continue
                windows = endpoint.vitals.windows
                if more.count:
                    endpoint.vitals.answered(now, more.ttft_sum_s / more.ttft_n if more.ttft_n else None)
                for _ in range(more.count):
                    windows.answered(now)
                for _ in range(more.failed):
                    windows.failed(now)
                for ttft_s in more.ttfts:
                    windows.ttft.add(now, ttft_s)
                for gap_s in more.gaps:
                    windows.paced(now, gap_s)

    def heard(self, times: dict[str, Times]) -> None:
        """By pool, how long first tokens took, and how many answers ended."""
        now, pools = self._clock.now(), self._gateway.graph.fleet.pools
        for name, more in times.items():
            tell(pools[name], more, now, answers=True)

    def departed(self, totals: dict[str, int], before: dict[str, int]) -> None:
        """What has become of answers on departing endpoints, and what one worker had said of it before."""
        outcomes = self._gateway.departures.outcomes
        for how in outcomes:
            outcomes[how] += totals.get(how, 0) - before.get(how, 0)

    def notices(self) -> Notices:
        """Who is leaving, as workers are told."""
        return Notices({name: Leaving(one.reason, one.announced_at, one.leaves_at, one.cut_off_at)
                        for name, one in self._gateway.departures.notices.items()})

    def probing(self, news: Iterable[News], life: int) -> None:
        """Remembers whose probe it is."""
        for one in news:
            if one.health.state is EndpointState.PROBING:
                self._probers[one.endpoint] = life

    def give_up_probes(self, life: int) -> None:
        """Those that a worker did not live to see the end of: the next lease of anybody may probe."""
        now = self._clock.now()
        for pool in self._gateway.graph.fleet.pools.values():
            for endpoint in pool.endpoints:
                vitals = endpoint.vitals
                if vitals.health.state is EndpointState.PROBING and self._probers.get(endpoint.id) == life:
                    vitals.hear(msgspec.structs.replace(vitals.health, state=EndpointState.EJECTED, until=now))
