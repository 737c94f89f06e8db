"""Who is tried: each client, the script that speaks through it and where its environment is pinned."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.append(str(HERE.parent))  # the bench folders are no packages

from environment import NotInstalled, node_environment, node_of, python_environment  # noqa: E402  needs the line above

PINS = ROOT / "requirements" / "conformance"
CACHE = ROOT / ".venv" / "conformance"
SCRIPTS = HERE / "clients"


@dataclass(frozen=True)
class Client:
    """`name` is what `--clients` takes and what the pins are called; `package` is what people install."""

    name: str
    package: str
    script: str
    api: str

    @property
    def is_of_node(self) -> bool:
        return self.script.endswith(".mjs")

    def command(self) -> list[str]:
        """What runs its script; makes its environment when it is not there. Raises NotInstalled."""
        if not self.is_of_node:
            return [str(python_environment(CACHE / self.name, PINS / f"{self.name}.txt")), str(SCRIPTS / self.script)]
        node = node_of(python_environment(CACHE / "node", PINS / "node.txt"))
        home = node_environment(CACHE / self.name, PINS / self.name, node)
        for file in (self.script, "outcome.mjs", "prompts.json"):
            shutil.copy(SCRIPTS / file, home)  # Node looks for packages beside the script
        return [str(node), str(home / self.script)]


__all__ = ["CLIENTS", "PINS", "ROOT", "Client", "NotInstalled"]

CLIENTS = (
    Client("openai", "openai", "openai_sdk.py", "Chat Completions"),
    Client("anthropic", "anthropic", "anthropic_sdk.py", "Messages"),
    Client("langchain-openai", "langchain-openai", "langchain_openai_chat.py", "Chat Completions"),
    Client("pydantic-ai-slim", "pydantic-ai-slim", "pydantic_ai_agent.py", "Chat Completions"),
    Client("openai-agents", "openai-agents", "openai_agents_run.py", "Responses"),
    Client("instructor", "instructor", "instructor_create.py", "Chat Completions"),
    Client("llm", "llm", "llm_cli.py", "Chat Completions"),
    Client("npm-openai", "openai", "openai_npm.mjs", "Chat Completions"),
    Client("npm-anthropic", "@anthropic-ai/sdk", "anthropic_npm.mjs", "Messages"),
    Client("npm-ai", "ai", "ai_npm.mjs", "Chat Completions"),
)
