"""A router that runs, asked by a command: where its admin listener is, with which token, and what it says."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pointsman.core.settings import Settings

ASK_TIMEOUT_S = 5.0
MAX_ANSWER = 64 * 1024 * 1024


class NotReached(Exception):
    """The running router cannot be asked; says why and what to do."""


def ask(url: str, path: str, token: str, otherwise: str = "--admin URL") -> dict[str, Any]:
    """The JSON object that the admin listener at `url` has at `path` (`/state`). `otherwise`: the option that names another listener.
    Raises NotReached."""
    request = urllib.request.Request(f"{url.rstrip('/')}{path}", headers={"authorization": f"Bearer {token}"})  # noqa: S310  # http or https, checked
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=ASK_TIMEOUT_S) as answer:
            said = json.loads(answer.read(MAX_ANSWER))
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 401:
            raise NotReached(f"{url} does not take the token; name the right one with --token file:PATH") from error
        raise NotReached(f"{url} answers {error.code}; is it the admin listener of this version (`admin.port`)?") from error
    except (OSError, HTTPException) as error:
        why = getattr(error, "reason", error)
        raise NotReached(f"no router answers at {url} ({why}); start it, or name another with {otherwise}") from error
    except ValueError as error:
        raise NotReached(f"{url} does not answer with JSON; is it the admin listener (`admin.port`)?") from error
    if not isinstance(said, dict):
        raise NotReached(f"{url} answers, but with no object; is it the admin listener (`admin.port`)?")
    return said


def listener_of(config: Path | None, admin: str | None, token: str | None) -> tuple[str, str]:
    """Address and token of the listener that these options mean. The configuration is only read for what is not named, and whoever
    reads it here need not hold the other secrets in it. Raises NotReached, ConfigError."""
    from pointsman.config.load import find, is_configured, load_beside
    from pointsman.core.settings import Settings

    needs_file = (admin is None or token is None) and is_configured(config)
    settings = load_beside(find(config)) if needs_file else Settings({}, {}, {})
    return admin or address_of(settings), token_of(settings, token)


def address_of(settings: Settings) -> str:
    """Where the admin listener of a router with these settings is."""
    return f"http://{_dialled(settings.admin.host)}:{settings.admin.port}"


def token_of(settings: Settings, reference: str | None) -> str:
    """The one that is named, else the configured one, else the one that a running router has generated. Raises NotReached."""
    from pointsman.config.secrets import WITHHELD, BadReference, Secrets

    if reference is not None:
        try:
            return Secrets(os.environ, Path()).resolve(reference)
        except BadReference as error:
            raise NotReached(f"--token: {error}") from error
    if settings.admin.token and settings.admin.token.startswith(WITHHELD):
        raise NotReached(f"admin.token refers to {settings.admin.token.removeprefix(WITHHELD)}, which is not to be had here; set it, "
                         "or name the token with --token")
    if settings.admin.token:
        return settings.admin.token
    generated = Path(settings.admin.token_file)
    places = dict.fromkeys((Path(settings.records.path).parent / generated.name, generated))
    for place in places:
        try:
            return place.read_text("utf-8").strip()
        except (OSError, ValueError):
            continue
    raise NotReached(f"no admin token: there is no {' and no '.join(str(place) for place in places)}; run this where the "
                     "router runs, or name the token with --token file:PATH")


def _dialled(host: str) -> str:
    """An address to connect to, for one that was bound."""
    if host in ("0.0.0.0", ""):  # noqa: S104  # compared, not bound
        return "127.0.0.1"
    return f"[{host if host != '::' else '::1'}]" if ":" in host and not host.startswith("[") else host
