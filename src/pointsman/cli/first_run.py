"""What `serve` without a file and `init` share: look around, say what was found, draw a ladder from it.

Keys are never printed, only the names of the variables that hold them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pointsman.config.draft import Draft, Model, draft, place_in_words
from pointsman.config.draft_file import Choices, text_of
from pointsman.config.load import DEFAULT_FILE, load_text, provider_keys
from pointsman.config.sources import PROVIDERS, USUAL_PORTS, Finding, Source, distinct, local_sources, probe_source
from pointsman.core.settings import Settings
from pointsman.errors import ConfigError
from pointsman.upstream.discovery import discover

PIPE_WIDTH = 500
"""Columns when the output is no terminal: scripts and logs want whole lines."""
LITELLM_FILES = ("config.yaml", "litellm_config.yaml", "proxy_server_config.yaml", "proxy_config.yaml", "litellm.yaml")
"""Names that its documentation and images use."""
HEAD = 65_536
"""Characters of such a file that are looked at."""
SOURCE_NAME = "what was found"
"""Where settings come from when no file was read: stands in problems and in the admin state."""


class Around(msgspec.Struct, frozen=True):
    """Where to look."""

    probe: tuple[str, ...] = ()
    ports: tuple[int, ...] = tuple(USUAL_PORTS)
    own_port: int = 4000

    @classmethod
    def of(cls, probe: Sequence[str] | None, ports: str | None, own_port: int | None) -> Around:
        """From the options. Raises typer.BadParameter."""
        try:
            usual = tuple(USUAL_PORTS) if ports is None else tuple(int(port) for port in ports.split(",") if port.strip())
        except ValueError as error:
            raise typer.BadParameter("give port numbers with commas between them", param_hint="--usual-ports") from error
        return cls(tuple(probe or ()), usual, 4000 if own_port is None else own_port)

    def sources(self, environ: Mapping[str, str]) -> tuple[Source, ...]:
        """Every address to ask, once. Raises typer.BadParameter for a `--probe` that is no address."""
        try:
            named = [probe_source(text) for text in self.probe]
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--probe") from error
        return distinct((*provider_keys(environ), *named, *local_sources(self.ports, self.own_port)), self.own_port)


class FirstRun(msgspec.Struct, frozen=True):
    """What was found, and the ladder drawn from it."""

    around: Around
    findings: tuple[Finding, ...]
    draft: Draft


def look_around(around: Around, environ: Mapping[str, str] | None = None) -> FirstRun:
    """Asks everybody, within seconds."""
    sources = around.sources(os.environ if environ is None else environ)
    findings = asyncio.run(discover(sources))
    return FirstRun(around, findings, draft(findings))


def settings_found(around: Around, choices: Choices) -> Settings:
    """Looks around and makes settings of it: what a reload does while there is no file. Raises ConfigError."""
    first = look_around(around)
    if not first.draft.rungs:
        raise ConfigError(tuple(nothing_in_words(first)))
    return load_text(text_of(first.draft, choices), SOURCE_NAME)


def file_at(path: Path, text: str, *, force: bool) -> None:
    """Writes a configuration that was not there, or may go. Raises ConfigError."""
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise ConfigError((f"{path} is there already and stays as it is; --force writes over it, "
                           f"`pointsman serve --config {path}` serves it",)) from error
    except OSError as error:
        raise ConfigError((f"{path} cannot be written: {error.strerror or error}",)) from error


# ---------------------------------------------------------------------------------------------------------
# In words


def console_for(*, stderr: bool) -> Console:
    """Rich at a terminal; whole, plain lines everywhere else."""
    console = Console(stderr=stderr, highlight=False)
    if console.is_terminal or "COLUMNS" in os.environ:
        return console
    return Console(stderr=stderr, highlight=False, width=PIPE_WIDTH)


def show_findings(console: Console, first: FirstRun) -> None:
    """Who answered, and who should have."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, title="Found", title_justify="left", title_style="bold")
    for finding in first.findings:
        if finding.is_silent and not _is_asked_for(first, finding):
            continue
        table.add_row(Text(finding.source.title), Text(_address(finding.source)),
                      Text(_said(finding), style="yellow" if finding.error else ""))
    console.print(table)
    for finding in first.findings:
        if finding.source.note and finding.models:
            console.print(Text(f"{finding.source.title}: {finding.source.note}"), soft_wrap=True)


def show_ladder(console: Console, first: FirstRun) -> None:
    """The rungs with why each model stands where it stands, and what became of the rest."""
    ladder = first.draft
    table = Table(box=None, padding=(0, 2, 0, 0), title="The ladder", title_justify="left", title_style="bold", header_style="dim")
    for column in ("rung", "tier", "model", "served by", "context", "price", "why it stands here"):
        table.add_column(column, overflow="fold")
    for rung, (tier, model) in enumerate(ladder.rungs):
        table.add_row(str(rung + 1), Text(tier, style="bold"), Text(model.name), Text(_served_by(model)),
                      "unknown" if model.context is None else str(model.context), _priced(model),
                      Text(place_in_words(ladder, rung)))
    console.print()
    console.print(table)
    console.print()
    for line in (*_rest(ladder), *litellm_hint()):
        console.print(Text(line), soft_wrap=True)


def nothing_in_words(first: FirstRun, command: str = "serve") -> list[str]:
    """What to do when there is nothing to route to, and where it was looked for; `command` is what was run."""
    answered = [finding for finding in first.findings if finding.models]
    told = [f"{finding.source.title} at {_address(finding.source)} {finding.error}" for finding in first.findings
            if finding.error and (not finding.is_silent or _is_asked_for(first, finding))]
    what = "there are models, but none to chat with" if answered else "no model server answers, and no provider's key works"
    if not answered and not any(finding.source.variable for finding in first.findings):
        what = "no model server answers here, and no provider's key is set"
    ports = ", ".join(f"{port} ({USUAL_PORTS.get(port, 'asked for')})" for port in first.around.ports)
    variables = ", ".join(f"${provider.variables[0]}" for provider in PROVIDERS)
    return [
        f"nothing to route to: {what}.",
        *told,
        *litellm_hint(),
        f"Do one of these, and run `pointsman {command}` again:",
        "  - export OPENAI_API_KEY=...   (OPENAI_BASE_URL=http://host:port/v1 moves it to any compatible server)",
        "  - start a server on this machine: `ollama serve`, `vllm serve MODEL`, or `llama-server -m FILE.gguf`",
        f"  - say where your models are: `pointsman {command} --probe host:port`"
        + (", or `pointsman init`, which asks" if command != "init" else ""),
        "Or run `pointsman demo`, which needs no models.",
        f"Looked at 127.0.0.1, ports {ports or 'none'}; --probe host:port adds one.",
        f"Looked for the variables {variables}.",
    ]


def _is_asked_for(first: FirstRun, finding: Finding) -> bool:
    """Somebody named this address, so its silence is news."""
    usual = {f"http://127.0.0.1:{port}/v1" for port in first.around.ports}
    return finding.source.url not in usual or finding.source.variable is not None


def _address(source: Source) -> str:
    """A known provider goes by its variable, everything else by its URL (which holds no credentials)."""
    if source.provider is not None:
        return f"${source.variable}"
    return f"{source.url} with ${source.variable}" if source.key is not None else source.url or f"${source.variable}"


def _said(finding: Finding) -> str:
    if finding.error:
        return finding.error
    return "1 model" if len(finding.models) == 1 else f"{len(finding.models)} models"


def _served_by(model: Model) -> str:
    return ", ".join(dict.fromkeys(offer.source.title for offer in model.offers))


def _priced(model: Model) -> str:
    prices = {offer.price for offer in model.offers if offer.price is not None}
    if not prices:
        return "yours" if model.is_local else "unknown"
    return " / ".join(f"${price.input:g} in, ${price.output:g} out per M" for price in sorted(prices, key=lambda p: p.input))


def _rest(ladder: Draft) -> list[str]:
    lines = []
    if len(ladder.rungs) == 1:
        lines.append("One model: every request goes to it, and routing needs two. Add a smaller or a larger one, and start again.")
    if any(model.is_guess for _, model in ladder.rungs):
        lines.append("Some places are guesses: `pointsman init` writes a file in which you can reorder the tiers.")
    if ladder.by_name:
        lines.append(f"Not on the ladder, reached by name: {_names(ladder.by_name)}")
    if ladder.embeddings:
        lines.append(f"For /v1/embeddings, by name: {_names(ladder.embeddings)}")
    lines += [f"Left out: {what}: {why}" for what, why in ladder.left_out]
    if any("more of" in what for what, _ in ladder.left_out):
        lines.append("To choose others: `pointsman init` lists them all; or --write, and edit `model:` in the file.")
    return lines


def _names(models: Sequence[Model], most: int = 8) -> str:
    more = f" and {len(models) - most} more" if len(models) > most else ""
    return ", ".join(model.name for model in models[:most]) + more


def litellm_hint(folder: Path = Path()) -> list[str]:
    """Says that a file of LiteLLM's lies here, which nobody reads: who has one most likely wants it."""
    for name in LITELLM_FILES:
        try:
            head = (folder / name).read_text("utf-8", "replace")[:HEAD]
        except OSError:
            continue
        if any(line.startswith("model_list:") for line in head.splitlines()):
            return [f"{name} is LiteLLM's and is not read: `pointsman import litellm {name} --output {DEFAULT_FILE}` makes a "
                    "configuration of it, and says what became of each line."]
    return []


def write_hint(path: Path | None = None) -> str:
    """How to keep what was found."""
    return f"To keep it: `pointsman serve --write` writes {path or DEFAULT_FILE}, or `pointsman init` asks first."
