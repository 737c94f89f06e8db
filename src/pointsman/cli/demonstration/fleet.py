"""What the demo routes with: a port, and the configuration that a person could have written for its tiers."""

from __future__ import annotations

import socket

from pointsman.cli.demonstration.stage import Stage
from pointsman.server.address import CannotListen, bound

PORT = 4000
_PORTS_TO_TRY = 50


def configuration(stage: Stage, *, host: str, port: int, records: str) -> str:
    """YAML for these engines. The largest tier stands last."""
    tiers = stage.tiers
    ladder = ", ".join(tiers)
    return f"""\
# Written by `pointsman demo`: {stage.header}
# With the urls of your own engines this is a configuration for `pointsman serve`.

server: {{host: {host}, port: {port}}}
admin: {{port: 0}}           # 0 = any free port
records: {{path: {records}}}

{stage.tiers_yaml}
routes:
  auto:                     # what clients put into `model`
    ladder: [{ladder}]
    default_tier: {tiers[-1]}    # when no stage has an opinion
    quality: 0.8            # the cheapest tier that is expected to be right four times in five
    fallbacks: [{tiers[-1]}]
    pipeline: [rules, heuristic]
    rules:
      - name: order-lookup
        when: {{regex: '(?i)\\border[- ]?\\d{{6,}}\\b', max_chars: 500}}
        tier: {tiers[0]}
        reason: an order number and little else
      - name: legal
        when: {{header: {{x-team: legal}}}}
        tier: {tiers[-1]}
        reason: the legal team asked for the largest model
"""


def near_port(host: str, wanted: int = PORT) -> socket.socket:
    """Listens on `wanted` or the next port after it that nobody has, on any when all near ones are taken.

    Why a socket and no number? Between looking and listening another demo may have come to the same answer.
    """
    for port in range(wanted, min(wanted + _PORTS_TO_TRY, 65536)):
        try:
            return bound(host, port)
        except CannotListen:
            continue
    return bound(host, 0)
