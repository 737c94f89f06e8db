"""`pointsman explain "..."`: where a prompt would go, and why. Calls nobody, unless `--ask` says so."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from random import Random, SystemRandom
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from pointsman.classify.words import words
from pointsman.cli.options import ConfigOption
from pointsman.config.load import find, load
from pointsman.core.clock import SystemClock
from pointsman.core.decision import Decision
from pointsman.core.fleet import Capabilities, EndpointSpec
from pointsman.core.price import GpuPrice
from pointsman.core.request import Caller, ChatRequest, Kind, Message, Needs
from pointsman.core.settings import PoolSettings, RouteSettings, Settings, TierSettings
from pointsman.errors import PointsmanError, UnknownModel, UpstreamError
from pointsman.gateway.asking import Asking
from pointsman.gateway.consulting import NOBODY
from pointsman.gateway.graph import Graph
from pointsman.gateway.names import Meaning
from pointsman.upstream.client import HttpUpstream
from pointsman.verification.rungs import Means, Rungs
from pointsman.wiring import build_graph

PATIENCE_S = 5.0
_STAGES = ("rules", "heuristic", "embedding")
_BUILT_IN = (("small", "RTX 4090", 0.51, 1000.0), ("medium", "A100", 1.43, 500.0), ("large", "H100", 2.40, 400.0))
"""Published on-demand prices and midpoints of throughput, April 2026."""


def explain(
    prompt: Annotated[str, typer.Argument(help="The user's text; - reads it from standard input.")],
    config: ConfigOption = None,
    route: Annotated[str, typer.Option(help="Route to decide for, as clients name it: auto, auto:cheap, auto@0.7.")] = "auto",
    system: Annotated[str | None, typer.Option(help="A system prompt that comes with it.")] = None,
    tools: Annotated[int, typer.Option(min=0, help="How many tools the request offers.")] = 0,
    quality: Annotated[float | None, typer.Option(min=0, max=1, help="Quality target instead of the route's.")] = None,
    ask: Annotated[bool, typer.Option("--ask", help="Ask whom the route's stages would ask: judge, your classifier, an embedder elsewhere.")] = False,
    json: Annotated[bool, typer.Option("--json", help="The Decision as JSON, as POST /v1/route answers it.")] = False,
) -> None:
    """Show which tier a prompt would go to, and every stage's view of it. Without a configuration: a built-in ladder.

    Nobody is asked unless you say --ask: then a judge, a classifier of yours or an embedder elsewhere gets the prompt, as it would from
    the router, where the decision is open. What only a running router knows (a judge's habit, what it learned of a caller, load)
    is not in it: POST /v1/route has that.
    """
    text = sys.stdin.read() if prompt == "-" else prompt
    try:
        settings = _patient(_settings(config))
        upstream = HttpUpstream() if ask else None
        graph = build_graph(settings, verifications=Rungs(settings, Means(_nobody, Random(0))), posts=None if upstream is None else upstream.post)
        meaning = _meaning(graph, route, quality)
        asked = a_chat(text, system=system, tools=tools)
        decision = asyncio.run(_decided(graph, asked, meaning, upstream))
    except PointsmanError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(decision), indent=2).decode())
        return
    typer.echo(f"{settings.source or 'no configuration: a built-in ladder of three tiers (small, medium, large)'}\n")
    _show(decision, graph, meaning)
    for line in graph.cascades.account(graph.settings.routes[meaning.route], asked, decision):
        typer.echo(line)
    for line in _not_asked(decision):
        typer.echo(line)


class NoSuchRoute(PointsmanError):
    """`--route` names no route of this configuration."""

    def __init__(self, name: str, routes: tuple[str, ...]) -> None:
        super().__init__(f"there is no route {name[:200]!r} here; name one with --route: {', '.join(routes)}")


def _not_asked(decision: Decision) -> list[str]:
    """Who might have changed this, and was not asked."""
    silent = [view for view in decision.stages if view.result == "nobody"]
    return [f"{view.stage} was not asked ({view.reason.partition(';')[0]}): --ask does, and the answer may change this" for view in silent]


def _meaning(graph: Graph, name: str, quality: float | None) -> Meaning:
    """The route that a client's name stands for, with the quality that was asked for here."""
    routes = tuple(graph.settings.routes)
    try:
        meaning = graph.names.look_up(name, Caller())
    except UnknownModel as error:
        raise NoSuchRoute(name, routes) from error
    if not meaning.is_route:
        raise NoSuchRoute(name, routes)
    target = meaning.target or graph.deciders[meaning.route].target
    return msgspec.structs.replace(meaning, target=target if quality is None else msgspec.structs.replace(target, quality=quality))


async def _nobody(endpoint: EndpointSpec, suffix: str, body: bytes, *, until: float) -> bytes:
    """Stands where verifiers would post: explaining looks at no answer."""
    raise UpstreamError("nothing is asked when a decision is explained", sent=False)


async def _decided(graph: Graph, request: ChatRequest, meaning: Meaning, upstream: HttpUpstream | None) -> Decision:
    """As `POST /v1/route` decides. Without `upstream` nobody is asked."""
    decision = graph.decide(request, meaning, 0.0)
    try:
        if graph.is_open(decision):
            asks = NOBODY if upstream is None else Asking(upstream, graph.fleet, SystemClock(), SystemRandom(), request.caller)
            decision = await graph.considered(request, meaning, decision, 0.0, asks)
    finally:
        if upstream is not None:
            await upstream.aclose()
    route = graph.settings.routes[meaning.route]
    if route.cascade is not None:
        decision = graph.entered(route, request, decision, 0.0)
    if (sentences := graph.learned.sentences) is not None:
        sentences.close()
    return graph.in_detail(request, meaning, decision, 0.0)


def a_chat(text: str, *, system: str | None = None, tools: int = 0) -> ChatRequest:
    """A chat request as a client would send it, as far as deciding reads it."""
    messages = [Message("system", system)] if system else []
    messages.append(Message("user", text))
    # Not the client's text as such: a terminal may hand us bytes that are no UTF-8, as lone surrogates.
    shown = [{"role": m.role, "content": m.text.encode("utf-8", "replace").decode()} for m in messages]
    body = msgspec.json.encode({"model": "auto", "messages": shown})
    return ChatRequest(Kind.CHAT, body, "auto", tuple(messages), tools=tools,
                       needs=Needs(context=len(body) // 3, tools=tools > 0))


def built_in_settings() -> Settings:
    """Three tiers on rented GPUs with nothing declared but prices: enough to show how deciding works."""
    names = tuple(name for name, *_ in _BUILT_IN)
    pools = {name: PoolSettings(name, f"{name}-model", (_endpoint(name, gpu, usd, speed),), Capabilities())
             for name, gpu, usd, speed in _BUILT_IN}
    return Settings(tiers={name: TierSettings(name, (name,)) for name in names}, pools=pools,
                    routes={"auto": RouteSettings("auto", ladder=names, default_tier=names[-1], pipeline=_STAGES)})


def _endpoint(pool: str, gpu: str, usd_per_hour: float, tokens_per_s: float) -> EndpointSpec:
    return EndpointSpec(id=f"{pool}/0", pool=pool, url="http://127.0.0.1:9/v1", model=f"{pool}-model",
                        price=GpuPrice(gpu, usd_per_hour, 1, tokens_per_s))


def _patient(settings: Settings) -> Settings:
    """A process that lives for one question is cold; what the sentence embedder would say is worth waiting for here, wherever it is."""
    replace = msgspec.structs.replace
    remote = replace(settings.classifier.remote, deadline_s=PATIENCE_S)
    return replace(settings, classifier=replace(settings.classifier, sentence_deadline_s=PATIENCE_S, remote=remote))


def _settings(config: Path | None) -> Settings:
    """Of the file named, else of the usual one when it exists, else the built-in ones."""
    path = find(config)
    return built_in_settings() if config is None and not path.exists() else load(path)


def _show(decision: Decision, graph: Graph, meaning: Meaning) -> None:
    decider = graph.deciders[meaning.route]
    target = meaning.target or decider.target
    text = Text(words(decision, decider.prices, target.quality))
    text.highlight_regex(r"(?m)^\S.*?->.*$", "bold")
    text.highlight_regex(r"█+", "green")
    text.highlight_regex(r"<- chosen", "bold green")
    text.highlight_regex(r"does not fit|failed|misses \S+|too dear", "red")
    Console(soft_wrap=True).print(text)
