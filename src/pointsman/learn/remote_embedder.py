"""A sentence embedder elsewhere, for training and scoring: many texts, some minutes, and an error instead of a fallback.

Named on the command line as `URL#MODEL`, such as `http://10.0.0.14:8080/v1#bge-small`, with `?dims=256`, `&max_chars=4000` and
`&key=REFERENCE` behind it as they are needed: what stands under `classifier.remote` where it serves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

import numpy as np

from pointsman.classify.embedders.remote import (
    MOST_BYTES,
    PROBES,
    Elsewhere,
    Unusable,
    probed,
    question,
    vectors_of,
)
from pointsman.config.load import secret
from pointsman.core.fleet import EndpointSpec
from pointsman.core.settings import RemoteEmbedderSettings
from pointsman.errors import ConfigError, CredentialRefused, DataRefused, Misconfigured, RequestRefused, UpstreamError
from pointsman.upstream.client import HttpUpstream

if TYPE_CHECKING:
    from pointsman.classify.embedders.remote import Vectors

TOGETHER: Final = 32
"""Texts in one question: what servers take by default (text-embeddings-inference: 32)."""
AT_ONCE: Final = 4
PATIENCE_S: Final = 120.0
"""Of one question: a CPU embeds 32 pages in less."""
TRIES: Final = 3
REST_S: Final = 0.5
"""Before the second try; four times that before the third."""
_COMPANY: Final = ("Hello", "What is the capital of France?", "Summarise this page in three sentences. " * 8)
"""Beside them the probes are asked for again: does that change what they get?"""
_POINTLESS: Final = (CredentialRefused, Misconfigured, RequestRefused)
"""What a second try would meet again."""


class RemoteEmbedder:
    """Satisfies `classify.embedders.embedder.Embedder`, but for bits: see `classify.embedders.remote`."""

    def __init__(self, settings: RemoteEmbedderSettings) -> None:
        """Asks for the probes. Raises DataRefused."""
        self._settings = settings
        self._endpoint = EndpointSpec(id=f"embedder {settings.model}", pool="", url=settings.url, model=settings.model, api_key=settings.api_key)
        self._together, self._at_once = 1, 1
        singles = self.embed(PROBES)
        self._together, self._at_once = TOGETHER, AT_ONCE
        beside = self.embed([*PROBES, *_COMPANY])[: len(PROBES)]
        self.elsewhere: Elsewhere = probed(settings.model, singles, settings.dims, settings.max_chars, beside)
        if self.elsewhere.alone:
            self._together, self._at_once = 1, 1

    @property
    def name(self) -> str:
        return self.elsewhere.name

    @property
    def dims(self) -> int:
        return self.elsewhere.dims

    @property
    def digest(self) -> str:
        return self.elsewhere.digest

    def ask_like(self, trained: Elsewhere) -> None:
        """As it was asked in training: one text at a time, where that was found to matter."""
        if trained.alone:
            self._together, self._at_once = 1, 1

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit row per text. Raises DataRefused when it does not answer, after three tries. Not on an event loop."""
        if not texts:
            return np.zeros((0, self.dims), np.float32)
        try:
            return asyncio.run(self._embed(texts))
        except (UpstreamError, Unusable) as error:
            raise DataRefused("--embedder", f"{self._settings.url} gives no vectors: {error}") from error

    async def _embed(self, texts: Sequence[str]) -> Vectors:
        upstream, gate, step = HttpUpstream(), asyncio.Semaphore(self._at_once), self._together
        try:
            parts = [asyncio.ensure_future(self._part(upstream, gate, texts[at: at + step])) for at in range(0, len(texts), step)]
            try:
                rows = await asyncio.gather(*parts)
            finally:
                for part in parts:
                    part.cancel()
                await asyncio.gather(*parts, return_exceptions=True)
        finally:
            await upstream.aclose()
        if len({part.shape[1] for part in rows}) > 1:
            raise Unusable("its vectors are not of one length")
        return np.concatenate(rows)

    async def _part(self, upstream: HttpUpstream, gate: asyncio.Semaphore, texts: Sequence[str]) -> Vectors:
        body = question(self._settings.model, texts, self._settings.dims, self._settings.max_chars)
        async with gate:
            for attempt in range(1, TRIES + 1):
                try:
                    until = asyncio.get_running_loop().time() + PATIENCE_S
                    return vectors_of(await upstream.post(self._endpoint, "/embeddings", body, until=until, most=MOST_BYTES), len(texts))
                except (UpstreamError, Unusable) as error:
                    if attempt == TRIES or isinstance(error, _POINTLESS):
                        raise
                    await asyncio.sleep(REST_S * 4 ** (attempt - 1))
        raise Unusable("it was not asked")


def is_remote(name: str) -> bool:
    """`--embedder` names a place and not a model of this machine."""
    return name.startswith(("http://", "https://"))


def settings_of(name: str) -> RemoteEmbedderSettings:
    """What `URL#MODEL?dims=..&max_chars=..&key=..` means. Raises DataRefused."""
    try:
        parts = urlsplit(name)
        _ = parts.port
    except ValueError as error:
        raise DataRefused("--embedder", f"{name[:80]!r} is no URL: {error}") from error
    model, _, rest = parts.fragment.partition("?")
    if not model or not parts.hostname or parts.username is not None or parts.query:
        raise DataRefused("--embedder", "an embedder elsewhere is written URL#MODEL, such as http://10.0.0.14:8080/v1#bge-small")
    more = {key: values[-1] for key, values in parse_qs(rest).items()}
    if unknown := more.keys() - {"dims", "max_chars", "key"}:
        raise DataRefused("--embedder", f"{min(unknown)!r} says nothing here: dims, max_chars and key do")
    try:
        key = secret(more["key"]) if "key" in more else None
        defaults = RemoteEmbedderSettings()
        return RemoteEmbedderSettings(
            url=f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}", model=model, api_key=key,
            dims=int(more["dims"]) if "dims" in more else None, max_chars=int(more.get("max_chars", defaults.max_chars)))
    except ConfigError as error:
        raise DataRefused("--embedder", str(error)) from error
    except ValueError as error:
        raise DataRefused("--embedder", "dims and max_chars are whole numbers") from error
