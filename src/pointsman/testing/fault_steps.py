"""What a faulty upstream does, step by step: values that `fault_server` performs on a raw socket.

A scenario is a list: `[Send(head), Wait(0.2), Send(half), Reset()]`. Nothing in it knows HTTP, so that any bytes in any
order, at any pace, are possible. Times are seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec


class Send(msgspec.Struct, frozen=True, gc=False):
    """Hands bytes to the kernel; `tokens` of the answer are billed once they are there."""

    data: bytes
    tokens: int = 0


class Drip(msgspec.Struct, frozen=True, gc=False):
    """Sends `data` in pieces of `size` bytes with a pause of `every_s` before each."""

    data: bytes
    every_s: float
    size: int = 1
    tokens: int = 0


class Wait(msgspec.Struct, frozen=True, gc=False):
    """Says nothing for `s` seconds."""

    s: float


class Stall(msgspec.Struct, frozen=True, gc=False):
    """Says nothing more until the peer leaves."""


class Complete(msgspec.Struct, frozen=True, gc=False):
    """A marker: from here on the answer counts as complete in the ledger. Sends nothing."""


class Fin(msgspec.Struct, frozen=True, gc=False):
    """Half-closes: no byte will follow, but what the peer sends is still read."""


class Close(msgspec.Struct, frozen=True, gc=False):
    """An orderly end (FIN both ways)."""


class Reset(msgspec.Struct, frozen=True, gc=False):
    """A hard end (RST)."""


Step = Send | Drip | Wait | Stall | Complete | Fin | Close | Reset


class Asked(msgspec.Struct, frozen=True, gc=False):
    """What a scenario may know about the request that it answers."""

    id: str
    """The request id that the oracle wrote into the prompt; "" when the body was not read, or names none."""
    stream: bool = False
    include_usage: bool = False
    nth: int = 1
    """Which request this is on its endpoint, from 1."""
    nth_on_connection: int = 1
    told: str = ""
    """How the answer begins that is to be continued (vLLM's `continue_final_message`); "" = it is not begun."""


Plan = Callable[[Asked], Sequence[Step]]


class Scenario(msgspec.Struct, frozen=True):
    """How an endpoint behaves."""

    plan: Plan
    reads: Literal["whole", "part", "nothing"] = "whole"
    """How much of a request is read before the steps begin; `part` is `part_bytes`. What is not read stays in the
    kernel for ever: the peer's write stalls."""
    part_bytes: int = 0
    listens: bool = True
    """False: the port is taken and every connect is refused."""
    accepts: bool = True
    """False: the listening queue is full: a connect gets no answer at all."""
    receive_buffer: int | None = None
    """SO_RCVBUF in bytes, to make a peer's write stall early."""
