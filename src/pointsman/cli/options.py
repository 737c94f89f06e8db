"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="PATH", show_default=False,
        help="Configuration file. Default: $POINTSMAN_CONFIG, else pointsman.yaml.",
    ),
]
ProbeOption = Annotated[
    list[str] | None,
    typer.Option("--probe", metavar="HOST:PORT", show_default=False, help="Look for a model server here as well (may be repeated)."),
]
PortsOption = Annotated[
    str | None, typer.Option("--usual-ports", hidden=True, help="Look at these loopback ports instead of the usual ones: 8000,11434.")
]
