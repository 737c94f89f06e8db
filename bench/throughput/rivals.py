"""Other people's routers as contestants: pinned, in environments of their own, each as its documentation has it fastest.

Every rival gets the core, the upstream and the load that Pointsman gets, one process and one worker, and its own logging
turned down as far as its documentation goes. The two Rust routers only pass on: they choose among the endpoints of one
model and look at no price, tier or record. LiteLLM and Portkey are gateways, without database, cache or callbacks here.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from contestants import Command, Contestant

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.append(str(HERE.parent))  # the bench folders are no packages

from environment import NotInstalled, node_environment, node_of, python_environment  # noqa: E402  needs the line above
from processes import free_port  # noqa: E402

PINS = ROOT / "requirements" / "rivals"
NODE = ROOT / "requirements" / "conformance" / "node.txt"
DEFAULT_CACHE = ROOT / ".rivals"
READY_TIMEOUT_S = 90.0
"""LiteLLM imports for ten seconds and more on one core."""


@dataclass(frozen=True)
class Rival:
    """One router: what it is pinned by, how it is started, and what a reader should know about that."""

    name: str
    version: str
    settings: str
    launch: Callable[[Path, Path, int, int], Command]
    """(interpreter, an empty folder, its port, the upstream's port) -> how it is started."""
    ready_path: str = "/health"
    is_of_node: bool = False
    header: Callable[[int], str] | None = None
    """One more request header, from the upstream's port."""

    def install(self, cache: Path) -> Path:
        """The interpreter that has it: Python's, or Node's with the package in the folder above. Raises NotInstalled."""
        if not self.is_of_node:
            return python_environment(cache / self.name, PINS / f"{self.name}.txt")
        node = node_of(python_environment(cache / "node", NODE))
        node_environment(cache / self.name, PINS / f"npm-{self.name}", node)
        return node

    def contestant(self, cache: Path, upstream_port: int) -> Contestant:
        """Raises NotInstalled."""
        interpreter = self.install(cache)
        home = cache / self.name

        def launch(folder: Path, port: int) -> Command:
            command = self.launch(interpreter, folder, port, upstream_port)
            return Command([str(part).replace("{home}", str(home)) for part in command.argv], command.env)

        return Contestant(self.name, "router", ready_path=self.ready_path, launch=launch, ready_timeout_s=READY_TIMEOUT_S,
                          is_asked_first=True, header=self.header(upstream_port) if self.header else None)


def vllm_router(python: Path, folder: Path, port: int, upstream_port: int) -> Command:
    return Command([python.with_name("vllm-router"), "--host", "127.0.0.1", "--port", str(port), "--log-level", "error",
                    "--policy", "round_robin", "--worker-urls", f"http://127.0.0.1:{upstream_port}",
                    "--worker-startup-check-interval", "1", "--prometheus-port", str(free_port())])


def sglang_router(python: Path, folder: Path, port: int, upstream_port: int) -> Command:
    return Command([python, "-m", "sglang_router.launch_router", "--host", "127.0.0.1", "--port", str(port), "--log-level", "error",
                    "--policy", "round_robin", "--worker-urls", f"http://127.0.0.1:{upstream_port}",
                    "--worker-startup-check-interval", "1", "--prometheus-host", "127.0.0.1", "--prometheus-port", str(free_port())])


def litellm(python: Path, folder: Path, port: int, upstream_port: int) -> Command:
    """JSON is YAML too. Its price table comes with it (by default it fetches one), and no request is logged.

    Without a key, as everybody else here: checking one would cost it time.
    Without cooldowns and retries: after a few requests that timed out under load it would refuse all that follow for its only deployment.
    """
    model = {"model": "openai/bench-model", "api_base": f"http://127.0.0.1:{upstream_port}/v1", "api_key": "none"}
    (folder / "config.yaml").write_text(json.dumps({
        "model_list": [{"model_name": "auto", "litellm_params": model}],
        "litellm_settings": {"telemetry": False, "set_verbose": False, "request_timeout": 600},
        "router_settings": {"disable_cooldowns": True, "num_retries": 0},
        "general_settings": {"disable_spend_logs": True, "disable_error_logs": True,
                             "dangerously_permit_weak_or_unset_master_key": True}}))
    (folder / "logging.json").write_text(json.dumps({
        "version": 1, "disable_existing_loggers": False, "loggers": {name: {"level": "ERROR"} for name in ("uvicorn", "uvicorn.access")}}))
    env = {"LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
    return Command([python.with_name("litellm"), "--config", folder / "config.yaml", "--host", "127.0.0.1", "--port", str(port),
                    "--num_workers", "1", "--keepalive_timeout", "75", "--log_config", folder / "logging.json"], _clean() | env)


def portkey(node: Path, folder: Path, port: int, upstream_port: int) -> Command:
    """It listens everywhere; an open gateway to anywhere has no place in a bench, so Node is told to listen on loopback."""
    (folder / "loopback.cjs").write_text(
        "const { Server } = require('node:net');\nconst listen = Server.prototype.listen;\n"
        "Server.prototype.listen = function (to, ...more) {\n"
        "  return typeof to === 'number' ? listen.call(this, { port: to, host: '127.0.0.1' }, ...more.filter((it) => typeof it === 'function'))\n"
        "    : listen.call(this, to, ...more);\n};\n")
    return Command([node, "--require", folder / "loopback.cjs", "{home}/node_modules/@portkey-ai/gateway/build/start-server.js",
                    f"--port={port}", "--headless"], _clean() | {"NODE_ENV": "production"})


def portkey_header(upstream_port: int) -> str:
    target = {"provider": "openai", "api_key": "none", "custom_host": f"http://127.0.0.1:{upstream_port}/v1"}
    return f"x-portkey-config: {json.dumps(target, separators=(',', ':'))}"


def _clean() -> dict[str, str]:
    """No key or address of the person's own may reach a rival."""
    return {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}


RIVALS = (
    Rival("vllm-router", "0.1.17", "round_robin (keeps no tree of prompts), log level error", vllm_router),
    Rival("sglang-router", "0.3.2", "round_robin (keeps no tree of prompts), log level error", sglang_router),
    Rival("litellm", "1.106.2", "one uvicorn worker with uvloop, LITELLM_LOG=ERROR, LITELLM_MODE=PRODUCTION, no access log, no database, "
                                "no callbacks, no cooldowns, no retries, its own price table", litellm, ready_path="/health/liveliness"),
    Rival("portkey", "1.15.2", "Node 24, NODE_ENV=production, headless, its target in one config header; @hono/node-server 1.13.7, "
                               "as with newer ones every stream is a 500", portkey, ready_path="/",
          is_of_node=True, header=portkey_header),
)


def rivals(names: Sequence[str], cache: Path, upstream_port: int) -> tuple[list[Contestant], list[str]]:
    """The rivals named (all when none is), ready to start, and a sentence for each that could not be installed."""
    found, missing = [], []
    for rival in RIVALS:
        if names and rival.name not in names:
            continue
        try:
            found.append(rival.contestant(cache, upstream_port))
        except NotInstalled as error:
            missing.append(f"{rival.name} {rival.version} could not be set up: {error.said}")
    return found, missing


def settings_table() -> list[list[str]]:
    """(name, version, settings) of each."""
    return [[rival.name, rival.version, rival.settings] for rival in RIVALS]
