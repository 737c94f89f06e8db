"""Do people's clients work? Each against the router before a real llama.cpp, and against llama.cpp itself.

`python bench/conformance/run.py [--clients openai,npm-ai] [--write]`

Each client lives in an environment of its own under `.venv/conformance`, pinned with hashes and made at the first run
(about a minute and 1 GB for all); Node.js comes in a wheel. A cell is red only where the router fails: what the engine alone
cannot do either is shown as the engine's. Exit code 1 when a cell is red; `--write` puts the table into the reference.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Sequence

from client import CLIENTS, PINS, ROOT, Client, NotInstalled
from engine import ToolEngine
from table import FEATURES, OK, Line, answers, at_best, page

from pointsman.config.load import load_text
from pointsman.testing.llamacpp import MODEL, LlamaCpp
from pointsman.testing.router import RunningRouter
from pointsman.testing.server_thread import ServerThread

PAGE = ROOT / "docs" / "reference" / "conformance.md"
TIMEOUT_S = 180.0
CONFIG = """
tiers:
  small: {{model: small-chat, endpoints: [{{url: "{url}", engine: llamacpp, slots: 2, model: {model}}}]}}
routes:
  auto: {{ladder: [small], pipeline: ["pinned:small"]}}
"""


class Before:
    """The router before one engine."""

    def __init__(self, engine: LlamaCpp) -> None:
        self.router = RunningRouter(load_text(CONFIG.format(url=engine.url, model=MODEL)))

    async def start(self) -> None:
        await self.router.__aenter__()

    async def aclose(self) -> None:
        await self.router.__aexit__(None, None, None)


def asked(command: Sequence[str], base: str, model: str, engine: LlamaCpp) -> dict[str, str]:
    """What a client's script found out at `base`."""
    # No key or address of the person's own may reach a script.
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    given = {"BASE_URL": base, "MODEL": model, "ENGINE_ROOT": engine.root}
    try:
        done = subprocess.run(command, env=kept | given, capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return answers("", f"nothing said within {TIMEOUT_S:.0f} s")
    return answers(done.stdout, (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])


def measured(clients: Sequence[Client]) -> list[Line]:
    """One engine for all; it is idle before each script begins. Raises NotInstalled."""
    commands = {client.name: client.command() for client in clients}
    lines = []
    with ToolEngine(slots=2) as engine, ServerThread(Before(engine)) as thread:
        for client in clients:
            ours = asked(commands[client.name], thread.server.router.url, "auto", engine)
            direct = asked(commands[client.name], engine.url, MODEL, engine)
            if any(direct.get(feature, OK) != OK for feature in FEATURES):
                direct = at_best(direct, asked(commands[client.name], engine.url, MODEL, engine))
            lines.append(Line(client, ours.pop("version"), ours, direct))
            tell(lines[-1])
    return lines


def tell(line: Line) -> None:
    """One line on the screen, and what went wrong under it."""
    print(f"{line.title} {line.version}: " + ", ".join(f"{feature} {line.cell(feature)}" for feature in FEATURES), flush=True)
    for feature in FEATURES:
        for where, said in (("router", line.ours), ("engine", line.direct)):
            if said.get(feature, OK) != OK:
                print(f"    {where}: {feature}: {said[feature]}", flush=True)


def main() -> int:
    names = [client.name for client in CLIENTS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", default=",".join(names), help="comma-separated; all: %(default)s")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}; only with all clients")
    wishes = parser.parse_args()
    wanted = wishes.clients.split(",")
    if unknown := sorted(set(wanted) - set(names)):
        parser.error(f"no client {', '.join(unknown)}; known: {', '.join(names)}")
    if wishes.write and set(wanted) != set(names):
        parser.error("--write with some clients only would drop the others from the page")
    try:
        lines = measured([client for client in CLIENTS if client.name in wanted])
    except NotInstalled as missing:
        print(f"{missing}\nThe pins are in {PINS.relative_to(ROOT)}; it needs PyPI and the npm registry.", file=sys.stderr)
        return 2
    if wishes.write:
        engine = f"llama.cpp (`xllamacpp` {importlib.metadata.version('xllamacpp')}) with SmolLM2-135M"
        PAGE.write_text(page(lines, engine=engine, day=datetime.datetime.now(datetime.UTC).date()))
    return 1 if any(line.red for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
