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
