"""What endpoints say when `pointsman check --live` asks them: what they are, what they serve, how busy they are."""

from __future__ import annotations

import asyncio

import msgspec

from pointsman.core.fleet import EndpointSpec, LoadReport
from pointsman.core.settings import Settings
from pointsman.errors import ConnectFailed, UpstreamError, UpstreamTimeout
from pointsman.upstream.load_report.dialects import hint_for
from pointsman.upstream.load_report.reader import HttpLoadReader


class Probe(msgspec.Struct, frozen=True):
    """What one endpoint said when asked for its models."""

    endpoint: str
    url: str
    is_reachable: bool
    is_listed: bool = False
    """The model that we would ask for is among those it lists."""
    models: tuple[str, ...] = ()
    context: int | None = None
    """Tokens in and out, where it says so."""
    error: str = ""
    is_heard: bool = False
    """Where it cannot be used: it did say something, though nothing of use."""
    engine: str = ""
    """What it was recognised as; "" = nobody knows."""
    version: str = ""
    is_polled: bool = True
    """Its load is asked for while serving."""
    waiting: int | None = None
    running: int | None = None
    kv_usage: float | None = None
    slots: int | None = None
    is_awake: bool | None = None
    missing: tuple[str, ...] = ()
    """What of its load it does not tell: then that is unknown, and our own requests in flight count alone."""
    hint: str = ""
    """What to turn on for it."""

    @property
    def is_good(self) -> bool:
        return self.is_reachable and self.is_listed

    def in_words(self, endpoint: EndpointSpec) -> tuple[tuple[str, str], ...]:
        """Lines for a person, each with its colour."""
        if not self.is_reachable:
            return ((f"{'answers, but not as asked' if self.is_heard else 'no answer'}: {self.error}", "red"),)
        if self.is_listed:
            context = "context unknown" if self.context is None else f"context {self.context} tokens"
            line = (f"answers, lists {endpoint.model!r}, {context}", "green")
        else:
            listed = ", ".join(self.models[:8]) + (", ..." if len(self.models) > 8 else "")
            line = (f"answers, but does not list {endpoint.model!r}; it lists: {listed or 'nothing'}", "red")
        return line, (load_in_words(self, endpoint), "")


async def probe_all(settings: Settings, timeout_s: float) -> tuple[Probe, ...]:
    """Asks all endpoints at once, in the order of the file."""
    endpoints = [endpoint for pool in settings.pools.values() for endpoint in pool.endpoints]
    reader = HttpLoadReader(warns=False)
    try:
        return tuple(await asyncio.gather(*(probe(reader, endpoint, timeout_s) for endpoint in endpoints)))
    finally:
        await reader.aclose()


async def probe(reader: HttpLoadReader, endpoint: EndpointSpec, timeout_s: float) -> Probe:
    """One endpoint's own word on what it is, what it serves and how busy it is."""
    until = asyncio.get_running_loop().time() + timeout_s
    try:
        report = await reader.read(endpoint, until)
    except UpstreamError as exc:
        return Probe(endpoint.id, endpoint.url, is_reachable=False, error=str(exc), is_heard=not isinstance(exc, ConnectFailed | UpstreamTimeout))
    if report.models is None:
        return Probe(endpoint.id, endpoint.url, is_reachable=False, error="it has no list of models at /models", is_heard=True)
    is_listed = endpoint.model in report.models
    return Probe(
        endpoint.id, endpoint.url, is_reachable=True, is_listed=is_listed, models=report.models,
        context=report.context,
        engine=report.engine, version=report.version, is_polled=endpoint.is_polled, waiting=report.waiting,
        running=report.running, kv_usage=report.kv_usage, slots=report.slots, is_awake=report.is_awake,
        missing=missing(report) if endpoint.is_polled else (), hint=hint_for(report) if endpoint.is_polled else "",
    )


def missing(report: LoadReport) -> tuple[str, ...]:
    """Figures of its load that it does not tell."""
    figures = {"waiting": report.waiting, "running": report.running, "kv_usage": report.kv_usage}
    return tuple(name for name, value in figures.items() if value is None)


def load_in_words(probe: Probe, endpoint: EndpointSpec) -> str:
    """`vLLM 0.32.0: 3 running, 2 waiting, KV cache 81 %`, with what is missing and how to get it."""
    name = f"{probe.engine or 'no engine that we know'}{f' {probe.version}' if probe.version else ''}"
    if probe.engine and endpoint.engine not in ("openai", probe.engine):
        name += f" (configured as {endpoint.engine}: correct `engine`)"
    if not probe.is_polled:
        return "load not asked for (`poll: off`)" if endpoint.poll == "off" else "load not asked for: somebody else's (`poll: auto`)"
    figures = [f"{value} {word}" for word, value in (("running", probe.running), ("waiting", probe.waiting)) if value is not None]
    if probe.kv_usage is not None:
        figures.append(f"KV cache {probe.kv_usage:.0%}")
    if probe.slots is not None:
        figures.append(f"{probe.slots} slots")
    words = f"{name}: {'asleep, ' if probe.is_awake is False else ''}{', '.join(figures) or 'tells no load'}"
    if not probe.missing or not probe.engine:
        return words
    return f"{words}; unknown: {', '.join(probe.missing)}{f' ({probe.hint})' if probe.hint else ''}"
