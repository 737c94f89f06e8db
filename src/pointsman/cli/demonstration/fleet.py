"""What the demo routes with: a port, and the configuration that a person could have written for its tiers."""

from __future__ import annotations

import socket

from pointsman.cli.demonstration.stage import Stage

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


def free_port(host: str, wanted: int = PORT) -> int:
    """`wanted` or the next port after it that nobody listens on; 0 (any) when all near ones are taken."""
    return next((port for port in range(wanted, wanted + _PORTS_TO_TRY) if _is_free(host, port)), 0)


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
