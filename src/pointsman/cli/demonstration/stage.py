"""What a demo plays on: three tiers with engines behind them, simulated or real."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from pointsman.testing.simulator import Simulator, simulated_fleet, tiers_yaml


class Stage(msgspec.Struct, frozen=True):
    """Engines that run, and how to speak of them."""

    served_by: dict[str, str]
    """Tier -> its model and machine in words; the largest tier stands last."""
    introduced: tuple[str, ...]
    """One line for each engine, then what else must be said before the first prompt."""
    header: str
    """The first comment of the configuration: what these engines are."""
    tiers_yaml: str
    simulated: bool
    clock: float
    """How many times faster than true the engines' time runs. Real engines: 1."""
    pace: float
    """How many seconds of the crowd's arrivals pass in a real one."""

    @property
    def tiers(self) -> tuple[str, ...]:
        return tuple(self.served_by)

    @property
    def clock_shown(self) -> str:
        """For the lines that tell how the demo runs."""
        return f"engines' clock x{self.clock:g}" if self.simulated else "real engines in real time"


@asynccontextmanager
async def simulated_stage(fast: float) -> AsyncIterator[Stage]:
    """The default fleet without GPUs. OSError: no port is free."""
    async with simulated_fleet(time_scale=fast) as fleet:
        yield Stage(
            served_by={it.tier_name: _served_by(it) for it in fleet},
            introduced=tuple(
                f"simulated tier {it.tier_name:<6}  {it.url}  {_served_by(it)}, ${it.gpu.usd_per_hour:.2f} an hour, "
                f"{it.gpu.tokens_per_s:g} tokens/s" for it in fleet),
            header="three simulated tiers on this machine. The ports of the simulators change with each start.",
            tiers_yaml=tiers_yaml(fleet), simulated=True, clock=fast, pace=fast)


def _served_by(simulator: Simulator) -> str:
    return f"{simulator.model.name.rpartition('/')[2]} on {simulator.gpu.name}"
