"""Do people's clients work? Each against the router before a real llama.cpp, and against llama.cpp itself.

`python bench/conformance/run.py [--clients openai,anthropic] [--here] [--write]`

Each client lives in an environment of its own under `.venv/conformance`, made at the first run (`--here`: uses the one
that runs this, for what is installed in it). A cell is red only where the router fails; what the engine alone cannot do
either is shown as the engine's. Exit code 1 when a cell is red; `--write` puts the table into the reference.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from engine import ToolEngine

from pointsman.config.load import load_text
from pointsman.testing.llamacpp import MODEL, LlamaCpp
from pointsman.testing.router import RunningRouter
from pointsman.testing.server_thread import ServerThread

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = ROOT / ".venv" / "conformance"
PAGE = ROOT / "docs" / "reference" / "conformance.md"
FEATURES = ("chat", "stream", "tools", "json_schema", "usage", "errors", "cancellation")
TIMEOUT_S = 180.0
CONFIG = """
tiers:
  small: {{model: small-chat, endpoints: [{{url: "{url}", engine: llamacpp, slots: 2, model: {model}}}]}}
routes:
  auto: {{ladder: [small], pipeline: ["pinned:small"]}}
"""


@dataclass(frozen=True)
class Client:
    """What is installed, and which script speaks through it."""

    name: str
    script: str
    requirement: str
    api: str

    @property
    def home(self) -> Path:
        return CACHE / self.name


CLIENTS = (
    Client("openai", "openai_sdk.py", "openai==3.54.0", "Chat Completions"),
    Client("anthropic", "anthropic_sdk.py", "anthropic==2.12.0", "Messages"),
    Client("langchain-openai", "langchain_openai_chat.py", "langchain-openai==1.7.3", "Chat Completions"),
    Client("pydantic-ai-slim", "pydantic_ai_agent.py", "pydantic-ai-slim[openai]==2.68.0", "Chat Completions"),
    Client("openai-agents", "openai_agents_run.py", "openai-agents==0.24.0", "Responses"),
    Client("instructor", "instructor_create.py", "instructor==1.17.0", "Chat Completions"),
)


class Before:
    """The router before one engine."""

    def __init__(self, engine: LlamaCpp) -> None:
        self.router = RunningRouter(load_text(CONFIG.format(url=engine.url, model=MODEL)))

    async def start(self) -> None:
        await self.router.__aenter__()

    async def aclose(self) -> None:
        await self.router.__aexit__(None, None, None)


@dataclass(frozen=True)
class Line:
    """One client's results: feature -> `ok` or what went wrong; a feature that it has no words for is not there."""

    client: Client
    version: str
    ours: dict[str, str]
    direct: dict[str, str]

    def cell(self, feature: str) -> str:
        match self.ours.get(feature), self.direct.get(feature):
            case None, _:
                return "-"
            case "ok", "ok":
                return "yes"
            case "ok", _:
                return "yes (engine alone: no)"
            case _, "ok":
                return "**no**"
            case _:
                return "engine cannot"

    @property
    def red(self) -> list[str]:
        return [feature for feature in FEATURES if self.cell(feature) == "**no**"]


def python_of(client: Client, *, here: bool) -> str:
    """The interpreter that has the client; makes its environment when it is not there."""
    if here:
        return sys.executable
    python = client.home / "bin" / "python"
    ready = client.home / "ready"
    if not ready.exists() or ready.read_text() != client.requirement:
        print(f"installing {client.requirement} into {client.home.relative_to(ROOT)}", flush=True)
        venv.create(client.home, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", client.requirement], check=True)
        ready.write_text(client.requirement)
    return str(python)


def asked(client: Client, python: str, base: str, model: str, engine: LlamaCpp) -> dict[str, str]:
    """What the script printed; when it died, that for each feature."""
    # No key or address of the person's own may reach a script.
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    given = {"BASE_URL": base, "MODEL": model, "ENGINE_ROOT": engine.root}
    done = subprocess.run([python, str(HERE / "clients" / client.script)], env=kept | given, capture_output=True, text=True,
                          timeout=TIMEOUT_S)
    try:
        return json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return {"version": "unknown", **dict.fromkeys(FEATURES, f"the script ended early: {last[:200]}")}


def measured(clients: list[Client], *, here: bool) -> list[Line]:
    """One engine for all; it is idle before each script begins."""
    lines = []
    with ToolEngine(slots=2) as engine, ServerThread(Before(engine)) as thread:
        for client in clients:
            python = python_of(client, here=here)
            ours = asked(client, python, thread.server.router.url, "auto", engine)
            direct = asked(client, python, engine.url, MODEL, engine)
            lines.append(Line(client, ours.pop("version"), ours, direct))
            print(f"{client.name} {lines[-1].version}: " + ", ".join(f"{f} {lines[-1].cell(f)}" for f in FEATURES if f in ours), flush=True)
            for feature in FEATURES:
                for where, said in (("router", ours), ("engine", direct)):
                    if said.get(feature, "ok") != "ok":
                        print(f"    {where}: {feature}: {said[feature]}", flush=True)
    return lines


def page(lines: list[Line]) -> str:
    """The reference page."""
    head = "| client | version | API | " + " | ".join(feature.replace("_", " ").replace("json", "JSON") for feature in FEATURES) + " |"
    rows = [f"| `{it.client.name}` | {it.version} | {it.client.api} | " + " | ".join(it.cell(feature) for feature in FEATURES) + " |"
            for it in lines]
    notes = [f"- `{it.client.name}`, {feature.replace('_', ' ')}, {where}: `{said[feature].replace('`', '')}`"
             for it in lines for feature in FEATURES for where, said in (("through the router", it.ours), ("engine alone", it.direct))
             if said.get(feature, "ok") != "ok"]
    engine = f"llama.cpp (`xllamacpp` {importlib.metadata.version('xllamacpp')}) with SmolLM2-135M"
    return "\n".join([
        "<!-- Generated by bench/conformance/run.py --write -->", "# Conformance", "",
        f"Clients as people install them, against Pointsman before {engine}, and against the engine itself. Run "
        f"{datetime.datetime.now(datetime.UTC).date()}; `make conformance` repeats it.", "",
        head, "|---" * (3 + len(FEATURES)) + "|", *rows, "",
        "`yes`: works through the router and without it. `yes (engine alone: no)`: the router makes it work. `engine cannot`: fails "
        "both ways. **no**: fails only through the router. `-`: not tried.", "",
        "What is tried: a *chat* answer; the same *streamed*, in several parts; one *tool* called with valid arguments (the prompt quotes "
        "the call: a model this small does not think of one; the engine runs with a template that knows tools); a "
        "*JSON schema* obeyed; *usage*, and the same usage in a stream; a prompt that is too long raises the client's own *error* for "
        "400; a client that leaves a stream frees the engine's slot within three seconds (*cancellation*).",
        *(["", "What went wrong:", "", *notes] if notes else []), ""])


def main() -> int:
    names = [client.name for client in CLIENTS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", default=",".join(names), help="comma-separated; all: %(default)s")
    parser.add_argument("--here", action="store_true", help="use this interpreter's packages instead of own environments")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    wishes = parser.parse_args()
    wanted = wishes.clients.split(",")
    if unknown := sorted(set(wanted) - set(names)):
        parser.error(f"no client {', '.join(unknown)}; known: {', '.join(names)}")
    lines = measured([client for client in CLIENTS if client.name in wanted], here=wishes.here)
    if wishes.write:
        PAGE.write_text(page(lines))
    return 1 if any(line.red for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
