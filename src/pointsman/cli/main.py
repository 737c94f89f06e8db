"""`pointsman`: one group, a module for each command.

Why lazy? `pointsman --help` and a shell's completion should not wait for an HTTP stack; a command's module is
imported when that command runs (or its own help is asked for). `COMMANDS` is all that the overview needs.
"""

from __future__ import annotations

import importlib
import keyword
import sys
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from pointsman import __version__
from pointsman.errors import ConfigError

COMMANDS: Final = {
    "serve": "Run the router.",
    "init": "Ask a few questions and write a configuration.",
    "check": "Check a configuration file and show what it says.",
    "top": "Watch a running router: every tier and endpoint, live.",
    "config": "Print the configuration's JSON Schema, or what a reload would change.",
    "import": "Write a configuration from that of LiteLLM, RouteLLM or OpenRouter.",
    "explain": "Show how a prompt would be routed, and why.",
    "train": "Train a classifier on your own labels.",
    "score": "Score prompts with a trained classifier.",
    "evaluate": "Measure a trained classifier on labels that it has not seen.",
    "calibrate": "Set a trained classifier to a quality, a share or a budget, on your own labels.",
    "export": "Write labels as a fine-tuning set for a classifier or a judge of your own.",
    "report": "Each rung's share, price and delay, from the records.",
    "demo": "Three simulated tiers, the router and a client: see it work.",
    "simulate": "Run simulated model servers.",
    "plan": "Plan machines: does this engine fit this card?",
    "embedders": "Show which embedding models are here, and what they cost.",
    "spot-agent": "Tell the router before a spot machine is taken away.",
    "machines": "Start and stop a tier's rented machines as the router wishes.",
}
"""Name -> one line. The command itself is what has that name in `pointsman.cli.<name>`: a function, or a group of its own."""


def identifier_of(command: str) -> str:
    """The name of a command's module, and of the command in it: Python keeps `import` for itself and knows no dashes."""
    return f"{command}_" if keyword.iskeyword(command) else command.replace("-", "_")


class LazyCommand(TyperCommand):
    """Stands in the overview; becomes the real command when it is called."""

    def real(self) -> Any:
        """The command itself, imported now."""
        name = identifier_of(str(self.name))
        found = getattr(importlib.import_module(f"pointsman.cli.{name}"), name)
        if isinstance(found, typer.Typer):
            return typer.main.get_command(found)
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(str(self.name))(found)
        return typer.main.get_command(app)

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        return self.real().make_context(*args, **kwargs)


class LazyGroup(TyperGroup):
    """Knows its commands by name only."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, line in COMMANDS.items():
            self.add_command(LazyCommand(name, callback=None, help=line, rich_markup_mode=None))


app = typer.Typer(
    cls=LazyGroup, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pointsman {__version__}")
        raise typer.Exit


@app.callback(no_args_is_help=True)
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """An OpenAI-compatible router: each request goes to the cheapest model that is expected to answer it well, and leaves a record of who
    answered, why, and what it cost.

    New here: `pointsman demo` needs no models; `pointsman serve` finds those that are there.
    """


def main() -> None:
    """The console script. A configuration that cannot be used is printed, not traced."""
    try:
        app()
    except ConfigError as exc:
        typer.echo(str(exc), err=True)
        sys.exit(1)
