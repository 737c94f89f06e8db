"""Which machines to start and stop: what the router wishes, within a floor and a ceiling, drained before they go.

    absent --start--> starting --it answers--> there --drain--> leaving --nothing runs there, or time is over: stop--> parked

Why is a machine that was started and never came stopped again? It may cost money all the same. Why is one that is leaving taken
back before another is started? It is there, and knows its prompts.

Pure: `look` takes what is so and returns what to do; what has been done is told with `done` and `failed`. Whoever starts anew
knows what the router knows: a machine that it finds leaving is stopped, perhaps for the second time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from pointsman.machines.yard import Machine, Phase, Yard

FIRST_PAUSE_S, LONGEST_PAUSE_S = 30.0, 900.0
"""After a hook has failed, before it is tried on the same machine again; doubles."""

Action = Literal["start", "drain", "stop", "return"]


class Command(msgspec.Struct, frozen=True):
    """`start` and `stop` are the hook's, `drain` and `return` (it is back in service) the router's."""

    action: Action
    endpoint: str
    why: str


class Attendant:
    """One tier's."""

    def __init__(self, *, floor: int = 0, ceiling: int | None = None, boot_s: float = 900.0) -> None:
        """`floor`, `ceiling`: machines at least and at most, whatever the router wishes. `boot_s`: how long one may take to answer
        after it was started."""
        self._floor, self._ceiling, self._boot_s = floor, ceiling, boot_s
        self._started: dict[str, float] = {}
        self._stopped: set[str] = set()
        # Machine -> how often in a row its hook has failed, and until when it is left alone.
        self._failures: dict[str, tuple[int, float]] = {}

    def look(self, yard: Yard, now: float) -> tuple[Command, ...]:
        """What to do now. `now`: monotonic seconds."""
        machines = [self._known(machine) for machine in yard.machines]
        there = [machine for machine in machines if machine.phase is Phase.THERE and machine.endpoint not in self._started]
        wanted, more, fewer = 0, 0, 0
        if yard.desired is not None:
            wanted = self._bounded(yard.desired)
            # Who is only starting serves nobody yet: it is counted on, but nobody goes because of it.
            more, fewer = wanted - len(there) - len(self._started), len(there) - wanted
        why = f"{wanted} wanted: {yard.reason}"
        back = [machine for machine in machines if machine.phase is Phase.LEAVING and not self._rests(machine.endpoint, now)
                and machine.endpoint not in self._started][:max(0, more)]
        commands = [Command("return", machine.endpoint, why) for machine in back]
        commands += self._settled([machine for machine in machines if machine not in back], now)
        free = [machine for machine in machines if machine.phase in (Phase.ABSENT, Phase.PARKED) and machine.endpoint not in self._started
                and not self._rests(machine.endpoint, now)]
        commands += [Command("start", endpoint, why) for endpoint in self._chosen(free, machines, more - len(back), yard.on_demand)]
        commands += [Command("drain", endpoint, why) for endpoint in _dispensable(there, fewer, yard.on_demand)]
        return tuple(commands)

    def done(self, command: Command, now: float) -> None:
        """It has been carried out."""
        self._failures.pop(command.endpoint, None)
        if command.action == "start":
            self._started[command.endpoint] = now
            self._stopped.discard(command.endpoint)
        elif command.action == "stop":
            self._stopped.add(command.endpoint)
            if self._started.pop(command.endpoint, None) is not None:  # it never came
                self.failed(command, now)
        elif command.action == "return":
            self._started.pop(command.endpoint, None)

    def failed(self, command: Command, now: float) -> None:
        """It could not be carried out: the machine is left alone for a while."""
        count, _ = self._failures.get(command.endpoint, (0, now))
        self._failures[command.endpoint] = count + 1, now + min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**count)

    def _bounded(self, desired: int) -> int:
        wanted = max(desired, self._floor)
        return wanted if self._ceiling is None else min(wanted, self._ceiling)

    def _known(self, machine: Machine) -> Machine:
        """What we have stopped is parked, though the router may not have noticed yet or does not ask it."""
        if machine.endpoint in self._stopped:
            if machine.phase is Phase.LEAVING:
                return msgspec.structs.replace(machine, phase=Phase.PARKED)
            if machine.phase is Phase.THERE:  # somebody else has brought it back
                self._stopped.discard(machine.endpoint)
        return machine

    def _rests(self, endpoint: str, now: float) -> bool:
        return endpoint in self._failures and now < self._failures[endpoint][1]

    def _settled(self, machines: list[Machine], now: float) -> Iterator[Command]:
        """What was begun goes on."""
        for machine in machines:
            name, since = machine.endpoint, self._started.get(machine.endpoint)
            if self._rests(name, now):
                continue
            if since is not None:
                if machine.is_ready and machine.is_drained:
                    yield Command("return", name, "it answers")
                elif machine.is_ready:
                    del self._started[name]
                elif now - since > self._boot_s:
                    yield Command("stop", name, f"it did not answer within {self._boot_s:.0f} s")
            elif machine.phase is Phase.LEAVING:
                if machine.in_flight == 0:
                    yield Command("stop", name, "nothing runs there any more")
                elif machine.leaves_in_s is not None and machine.leaves_in_s <= 0:
                    yield Command("stop", name, f"its time is over, with {machine.in_flight} requests under way")

    def _chosen(self, free: list[Machine], machines: list[Machine], more: int, on_demand: int) -> Iterator[str]:
        """Whom to start: the cheapest, but the floor of those that stay comes first."""
        lasting = sum(not machine.is_spot for machine in machines if machine.phase is Phase.THERE or machine.endpoint in self._started)
        for _ in range(min(more, len(free))):
            needs_lasting = lasting < on_demand
            chosen = min(free, key=lambda machine: (needs_lasting and machine.is_spot, *_dearness(machine)))
            free.remove(chosen)
            lasting += not chosen.is_spot
            yield chosen.endpoint

    def __repr__(self) -> str:
        return f"<Attendant [{len(self._started)} starting, {len(self._stopped)} stopped, {len(self._failures)} left alone]>"


def _dispensable(there: list[Machine], fewer: int, on_demand: int) -> Iterator[str]:
    """Whom to take out of service: first who does not answer, then the dearest, then who does least; `on_demand` that are not spot stay."""
    lasting = sum(not machine.is_spot for machine in there)
    for machine in sorted(there, key=lambda machine: (machine.is_ready, *(-dear for dear in _dearness(machine)), machine.in_flight)):
        if fewer <= 0:
            return
        if not machine.is_spot:
            if lasting <= on_demand:
                continue
            lasting -= 1
        fewer -= 1
        yield machine.endpoint


def _dearness(machine: Machine) -> tuple[float, bool]:
    """The cheapest has the lowest. An unknown price is the highest; among equal ones a spot machine is the cheaper one."""
    return float("inf") if machine.usd_per_hour is None else machine.usd_per_hour, not machine.is_spot
