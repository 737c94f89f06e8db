"""Asks an endpoint how busy it is, in its own engine's words. Satisfies `core.protocols.LoadReader`.

What the engine is, is found out by asking and remembered until it has been away: whoever answers after that may be
another. Paths that it does not have are not asked again until then. Its models change rarely and are asked less often
than its load.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping

from pointsman.core.fleet import EndpointSpec, LoadReport
from pointsman.errors import BadAnswer, CredentialRefused, UpstreamError, UpstreamFailed
from pointsman.upstream.load_report.dialects import DIALECTS, Choice, Dialect
from pointsman.upstream.load_report.line import Line, Said, below, root_of
from pointsman.upstream.load_report.parts import Parts
from pointsman.upstream.load_report.recognition import METRICS, Heard, recognise
from pointsman.upstream.models import ModelCard, listing_path, matches, read_models

MODELS_EVERY_S = 10.0
"""A model list changes with an adapter or a restart; a restart is noticed by itself."""
RECOGNISE_EVERY_S = 60.0
"""An engine that nobody recognised may have been starting: its own paths come with it."""
RENEW_EVERY_S = 600.0
"""Version, slots and missing paths of a known engine, in case it was replaced between two polls."""
ABSENT = frozenset((301, 302, 303, 307, 308, 401, 403, 404, 405, 410, 501))
"""Statuses that mean that a path is not there for us; llama.cpp says 501 for what it was not started with."""

_log = logging.getLogger(__name__)


class Acquaintance:
    """What one endpoint has shown of itself so far."""

    def __init__(self) -> None:
        self.engine = ""
        self.recognised_at: float | None = None
        self.lacks: set[str] = set()
        """Paths that are not there."""
        self.lasting: dict[str, bytes] = {}
        """Answers that change only with a restart."""
        self.models: tuple[ModelCard, ...] | None = None
        self.models_at: float | None = None

    def is_due(self, now: float) -> bool:
        """It is to be asked what it is."""
        every_s = RENEW_EVERY_S if self.engine else RECOGNISE_EVERY_S
        return self.recognised_at is None or now - self.recognised_at >= every_s


class HttpLoadReader:
    """Reports over a `Line` of its own."""

    def __init__(self, *, warns: bool = True) -> None:
        """`warns` False: whoever asks shows what an engine turned out to be himself."""
        self._warns = warns
        self._line = Line()
        self._known: dict[tuple[str, str], Acquaintance] = {}
        self._warned: set[tuple[str, str]] = set()

    async def read(self, endpoint: EndpointSpec, until: float) -> LoadReport:
        """See the protocol. What it was recognised as is asked anew after any failure."""
        key = (endpoint.id, endpoint.url)
        known = self._known.setdefault(key, Acquaintance())
        try:
            return await self._read(endpoint, known, until)
        except UpstreamError:
            self._known.pop(key, None)
            raise

    async def models(self, endpoint: EndpointSpec, until: float) -> tuple[ModelCard, ...]:
        """What it listed last; asked when nobody has yet. Raises UpstreamErrors."""
        known = self._known.setdefault((endpoint.id, endpoint.url), Acquaintance())
        if known.models is None:
            await self._ask_models(endpoint, known, until)
        return known.models or ()

    def forget(self, keep: Collection[tuple[str, str]]) -> None:
        """Forgets all endpoints but those to `keep` (id, URL)."""
        self._known = {key: known for key, known in self._known.items() if key in keep}

    async def aclose(self) -> None:
        await self._line.aclose()

    async def _read(self, endpoint: EndpointSpec, known: Acquaintance, until: float) -> LoadReport:
        now = asyncio.get_running_loop().time()
        models = None
        if known.models_at is None or not known.engine or now - known.models_at >= MODELS_EVERY_S:
            models = await self._ask_models(endpoint, known, until)
        if not endpoint.is_polled:
            return _report(endpoint, known, Parts(), now)
        if known.is_due(now):
            await self._recognise(endpoint, known, models, until)
        dialect = DIALECTS.get(known.engine)
        if dialect is None:
            return _report(endpoint, known, Parts(), asyncio.get_running_loop().time())
        answers = await self._answers(endpoint, known, dialect, until)
        parts = dialect.parse(answers | known.lasting, endpoint.model)
        return _report(endpoint, known, parts, asyncio.get_running_loop().time())

    # -- what it is, and what it serves

    async def _ask_models(self, endpoint: EndpointSpec, known: Acquaintance, until: float) -> Said:
        """An endpoint without a list of models has none that we know; one that refuses our key says so."""
        said = await self._line.get(endpoint, f"{endpoint.url}{listing_path(endpoint.engine)}", until)
        if said.status in (401, 403):
            raise CredentialRefused(f"endpoint {endpoint.id} refuses the router's credential (status {said.status}); its "
                                    "operator has to look at the endpoint's `api_key`", upstream_status=said.status)
        if said.status >= 500:
            raise _unwell(endpoint, "/models", said.status)
        known.models_at = asyncio.get_running_loop().time()
        try:
            known.models = read_models(endpoint.id, said.body) if said.status == 200 else None
        except BadAnswer as error:
            _log.info("%s", error)
            known.models = None
        return said

    async def _recognise(self, endpoint: EndpointSpec, known: Acquaintance, models: Said | None, until: float) -> None:
        async def ask(path: str) -> Heard | None:
            return _heard(await self._line.get(endpoint, self._url(endpoint, path), until))

        known.engine = await recognise(_heard(models) if models is not None else None, ask)
        known.recognised_at = asyncio.get_running_loop().time()
        known.lacks.clear()
        known.lasting.clear()
        dialect = DIALECTS.get(known.engine)
        for choice in dialect.once if dialect is not None else ():
            known.lasting |= await self._first_of(endpoint, known, choice, until)
        self._compare(endpoint, known.engine)

    def _compare(self, endpoint: EndpointSpec, engine: str) -> None:
        """A warning, once, when the configuration calls it something else."""
        is_other = engine and endpoint.engine not in ("openai", engine)
        if self._warns and is_other and (endpoint.id, engine) not in self._warned:
            self._warned.add((endpoint.id, engine))
            _log.warning("endpoint %s is configured as %s and turns out to be %s; its load is read as that of %s: "
                         "correct `engine`", endpoint.id, endpoint.engine, engine, engine)

    # -- how busy it is

    async def _answers(
        self, endpoint: EndpointSpec, known: Acquaintance, dialect: Dialect, until: float
    ) -> dict[str, bytes]:
        if dialect.health and dialect.health not in known.lacks:
            said = await self._line.get(endpoint, below(root_of(endpoint.url), dialect.health), until)
            if said.status == 503:
                raise _unwell(endpoint, dialect.health, said.status)
            if said.status != 200:  # not the engine's own word: a proxy in front does not pass it on
                known.lacks.add(dialect.health)
        answers: dict[str, bytes] = {}
        for choice in dialect.always:
            answers |= await self._first_of(endpoint, known, choice, until)
        return answers

    async def _first_of(self, endpoint: EndpointSpec, known: Acquaintance, choice: Choice, until: float) -> Mapping[str, bytes]:
        for path in choice:
            if path in known.lacks:
                continue
            said = await self._line.get(endpoint, self._url(endpoint, path), until)
            if said.status == 200:
                return {path: said.body}
            if said.status in ABSENT:
                known.lacks.add(path)
        return {}

    @staticmethod
    def _url(endpoint: EndpointSpec, path: str) -> str:
        if path == METRICS and endpoint.metrics_url is not None:
            return endpoint.metrics_url
        return below(root_of(endpoint.url), path)

    def __repr__(self) -> str:
        return f"<HttpLoadReader [{len(self._known)} endpoints known]>"


def _heard(said: Said) -> Heard | None:
    return Heard(said.body, said.server) if said.status == 200 else None


def _unwell(endpoint: EndpointSpec, path: str, status: int) -> UpstreamFailed:
    return UpstreamFailed(f"endpoint {endpoint.id} answers {path} with {status}: it is loading, or its engine has died",
                          upstream_status=status)


def _report(endpoint: EndpointSpec, known: Acquaintance, parts: Parts, at: float) -> LoadReport:
    cards = known.models
    own = next((card for card in cards or () if matches(card, endpoint.model, known.engine)), None)
    names = None if cards is None else tuple(card.id for card in cards) + ((endpoint.model,) if own is not None else ())
    return LoadReport(
        waiting=parts.waiting, running=parts.running, kv_usage=parts.kv_usage, at=at, queued_tokens=parts.queued_tokens,
        slots=parts.slots, is_awake=parts.is_awake, models=tuple(dict.fromkeys(names)) if names is not None else None,
        engine=known.engine, version=parts.version, progress=parts.progress,
        context=parts.context or (own.context if own is not None else None),
    )
