"""The thin rim around `Engine`: real (or scaled) time on an event loop."""

from __future__ import annotations

import asyncio
from typing import Protocol

from pointsman.testing.engine import Engine, Sequence, Step
from pointsman.testing.engine_metrics import EngineMetrics

MAX_LAG_S = 0.05
"""How far (in real seconds) the engine may run behind before it stops catching up."""


class Listener(Protocol):
    """Somebody who waits for the tokens of a request."""

    def token(self, sequence: Sequence) -> None: ...

    def finished(self, sequence: Sequence) -> str:
        """The sequence is complete; returns why it ended (`stop` or `length`), for the metrics."""
        ...

    def flush(self) -> None:
        """Everything of this moment has been told: write it."""
        ...


class EngineRim:
    """Steps the engine while there is work. `time_scale` 10 = ten simulated seconds in one real one."""

    def __init__(self, engine: Engine, metrics: EngineMetrics, *, time_scale: float = 1.0) -> None:
        self.engine, self.metrics, self.time_scale = engine, metrics, time_scale
        self.worst_lag_s = 0.0
        """The most real seconds that a step's end was noticed late: the loop was busy, or the machine."""
        self._listeners: dict[Sequence, Listener] = {}
        self._step: Step | None = None
        self._timer: asyncio.TimerHandle | asyncio.Handle | None = None

    def now(self) -> float:
        """Simulated seconds."""
        return asyncio.get_running_loop().time() * self.time_scale

    def submit(self, sequences: list[Sequence], listener: Listener, arrived_at: float) -> None:
        """Queues a request's sequences; `arrived_at` is when it came in. Raises QueueFull."""
        self.engine.submit(sequences, arrived_at)
        for sequence in sequences:
            self._listeners[sequence] = listener
        if self._timer is None:
            # Not now: requests of the same turn of the loop share the first step.
            self._timer = asyncio.get_running_loop().call_soon(self._turn)

    def abort(self, sequences: list[Sequence]) -> None:
        """The client has left; finished sequences are left alone."""
        for sequence in sequences:
            if self._listeners.pop(sequence, None) is not None:
                self.engine.abort(sequence)
                self.metrics.done(sequence, self.now(), "abort")

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _turn(self) -> None:
        """Hands out every step that is over, and begins the next one."""
        self._timer = None
        now = self.now()
        if self._step is not None:
            self.worst_lag_s = max(self.worst_lag_s, (now - self._step.ends_at) / self.time_scale)
        touched: dict[Listener, None] = {}
        while self._step is not None and self._step.ends_at <= now:
            self._deliver(self._step, touched)
            began = max(self._step.ends_at, now - MAX_LAG_S * self.time_scale)
            self._step = self.engine.step(began)
        if self._step is None:
            self._step = self.engine.step(now)
        for listener in touched:
            listener.flush()
        if self._step is not None and self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(self._step.ends_at / self.time_scale, self._turn)

    def _deliver(self, step: Step, touched: dict[Listener, None]) -> None:
        for sequence in step.tokens:
            if (listener := self._listeners.get(sequence)) is not None:
                self.metrics.token(sequence, step.ends_at)
                listener.token(sequence)
                touched[listener] = None
        for sequence in step.finished:
            if (listener := self._listeners.pop(sequence, None)) is not None:
                self.metrics.done(sequence, step.ends_at, listener.finished(sequence))
                touched[listener] = None
