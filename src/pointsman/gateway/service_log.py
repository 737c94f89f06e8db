"""Says in the log when requests have taken an endpoint out of service, and when it is back: whoever is on call reads it first.

Once for each change and not for each failure; what polls find (refused, asleep, model not listed) the monitor says.
"""

from __future__ import annotations

import logging

from pointsman.core.fleet import EndpointSpec, EndpointState
from pointsman.pools.health import Health, Signal

_log = logging.getLogger(__name__)


def tell_change(endpoint: EndpointSpec, health: Health, now: float) -> None:
    """`health`: as it is from `now` on."""
    if health.state is EndpointState.HEALTHY:
        _log.info("endpoint %s is in service again", endpoint.id)
        return
    if health.state is not EndpointState.EJECTED:
        return
    why, again_s = _without(endpoint.id, health.detail), max(0.0, health.until - now)
    if health.cause == Signal.CREDENTIAL.value:
        _log.error("endpoint %s is out of service, our credential is refused: %s; tried again in %.0f s and after a reload", endpoint.id, why, again_s)
    elif health.cause == Signal.MISCONFIGURED.value:
        _log.error("endpoint %s is out of service, its `url` or `model` is not what it serves: %s; tried again in %.0f s and after a reload",
                   endpoint.id, why, again_s)
    else:
        _log.warning("endpoint %s is out of service for %.0f s: %s", endpoint.id, again_s, why or health.cause)


def _without(id: str, text: str) -> str:
    """Errors begin with the endpoint that they are of, and so does the line."""
    return text.removeprefix(f"endpoint {id}: ").removeprefix(f"endpoint {id} ")
