"""Who is measured: how each contestant is configured, started, watched and stopped.

Every process starts in a process group of its own, dies with this one (PR_SET_PDEATHSIG), listens on loopback only and
writes only below the run's temporary folder.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))  # the bench folders are no packages

from processes import Processes, free_port  # noqa: E402  needs the line above

BIN = Path(sys.executable).parent
READY_TIMEOUT_S = 20.0


class DidNotStart(Exception):
    """A contestant ended or stayed silent: its name and the last lines it wrote."""

    def __init__(self, name: str, why: str, log: str) -> None:
        super().__init__(f"{name} did not start: {why}" + (f"\n{log}" if log else ""))
        self.name, self.why = name, why


@dataclass(frozen=True)
class Command:
    """How a process is started; `env` None = as this one."""

    argv: Sequence[str | Path]
    env: dict[str, str] | None = None


@dataclass
class Contestant:
    """One column of the comparison. `process` is set while we run it, `pid` also for one started by hand."""

    name: str
    role: str
    """`direct`, `proxy`, `router` (its rate voids rows) or `layer`."""
    port: int = 0
    path: str = "/v1/chat/completions"
    ready_path: str = "/health"
    pid: int | None = None
    header: str | None = None
    launch: Callable[[Path, int], Command] | None = field(default=None, repr=False)
    """(an empty folder, the port) -> how it is started. None: `Fleet` knows."""
    ready_timeout_s: float = READY_TIMEOUT_S
    is_asked_first: bool = False
    """Its readiness tells nothing about the upstream: a chat request must be answered before it counts as started."""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)


def _answers_200(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1.0)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def chat_answer(contestant: Contestant, *, is_streamed: bool) -> str:
    """`answered`, or what came instead of a chat answer."""
    connection = http.client.HTTPConnection("127.0.0.1", contestant.port, timeout=5.0)
    name, _, value = (contestant.header or "Accept: application/json").partition(": ")
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "ping"}], "max_tokens": 8, "stream": is_streamed})
    try:
        connection.request("POST", contestant.path, body, {"Content-Type": "application/json", name: value})
        reply = connection.getresponse()
        said = reply.read(65536).decode("utf-8", "replace")
        is_answer = reply.status == 200 and '"choices"' in said and ("data: " in said) == is_streamed
        return "answered" if is_answer else f"{reply.status} {said[:200]}"
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
    finally:
        connection.close()


def _is_answered(said: Callable[[], str]) -> bool:
    return said() == "answered"


def _told(how: str, said: Callable[[], str]) -> str:
    return f"no {how} answer ({said()})"


def wait_ready(contestant: Contestant, log: Path) -> None:
    """Returns when it answers 200 on its readiness path (and a chat request, where asked first). Raises DidNotStart."""
    until = time.monotonic() + contestant.ready_timeout_s

    def wait_for(is_there: Callable[[], bool], what: Callable[[], str]) -> None:
        while not is_there():
            if contestant.process is not None and contestant.process.poll() is not None:
                raise DidNotStart(contestant.name, f"exited with {contestant.process.returncode}", _tail(log))
            if time.monotonic() > until:
                raise DidNotStart(contestant.name, f"{what()} within {contestant.ready_timeout_s:.0f} s", _tail(log))
            time.sleep(0.005)

    wait_for(lambda: _answers_200(contestant.port, contestant.ready_path), lambda: f"not ready on {contestant.ready_path}")
    for is_streamed in (False, True) if contestant.is_asked_first else ():
        how = "streamed" if is_streamed else "plain"
        said = partial(chat_answer, contestant, is_streamed=is_streamed)
        wait_for(partial(_is_answered, said), partial(_told, how, said))


def _tail(log: Path, lines: int = 8) -> str:
    return "\n".join("  | " + line for line in log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""


def nginx_config(folder: Path, port: int, upstream_port: int, connections: int) -> str:
    """One worker, keep-alive to the upstream, nothing buffered, every path below `folder`."""
    temp = "".join(f"  {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root;\n" if os.geteuid() == 0 else ""
    return f"""{user}daemon off;
worker_processes 1;
worker_rlimit_nofile {connections * 2 + 3000};
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections {connections * 2 + 2500}; }}
http {{
{temp}  access_log off;
  keepalive_requests 100000000;
  upstream model {{
    server 127.0.0.1:{upstream_port};
    keepalive 512;
    keepalive_requests 100000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://model;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      client_body_buffer_size 256k;
      client_max_body_size 32m;
    }}
  }}
}}
"""


TIERS = (("small", "Qwen/Qwen2.5-7B-Instruct", "RTX 4090", 0.51, 1000),
         ("medium", "Qwen/Qwen2.5-32B-Instruct", "A100", 1.60, 700),
         ("large", "meta-llama/Llama-3.3-70B-Instruct", "H100", 2.40, 400))
CAPABILITIES = "{context: 131072, tools: true, json_schema: true, vision: false, logprobs: true}"


def pointsman_config(folder: Path, port: int, admin_port: int, upstream_port: int, slots: int) -> str:
    """Three tiers on one C upstream, rules and heuristic, records and metrics on: what a user would run."""
    tiers = "".join(f"""  {name}:
    model: {model}
    capabilities: {CAPABILITIES}
    endpoints:
      - {{url: "http://127.0.0.1:{upstream_port}/v1", slots: {slots}, gpu: {{type: {gpu}, usd_per_hour: {price}, tokens_per_s: {speed}}}}}
""" for name, model, gpu, price, speed in TIERS)
    return f"""server: {{host: 127.0.0.1, port: {port}, workers: 1}}
admin: {{host: 127.0.0.1, port: {admin_port}, token: "${{POINTSMAN_ADMIN_TOKEN}}"}}
records: {{path: "{folder}/records.db", content: none}}
tiers:
{tiers}routes:
  auto:
    ladder: [small, medium, large]
    default_tier: large
    quality: 0.8
    fallbacks: [large]
    pipeline: [rules, heuristic]
    rules:
      - {{when: {{regex: "(?i)\\\\border[- ]?\\\\d{{6,}}\\\\b"}}, tier: small, reason: order lookup}}
      - {{when: {{header: {{x-team: legal}}}}, tier: large}}
"""


class Fleet:
    """Starts contestants in front of one upstream."""

    def __init__(self, processes: Processes, folder: Path, upstream_port: int, core: int | None, streams: int) -> None:
        self._processes, self._folder, self._upstream_port, self._core = processes, folder, upstream_port, core
        self._streams = streams
        self._starts = 0

    def start(self, contestant: Contestant) -> float:
        """Starts it and waits until it is ready; returns the seconds that took. Raises DidNotStart."""
        self._starts += 1
        folder = self._folder / f"{contestant.name.replace(' ', '-')}-{self._starts}"
        folder.mkdir()
        log = folder / "output.log"
        contestant.port = free_port()
        if contestant.launch is not None:
            command = contestant.launch(folder, contestant.port)
            argv, cwd, env = command.argv, folder, command.env
        else:
            argv, cwd, env = self._command(contestant, folder)
        began = time.monotonic()
        contestant.process = self._processes.start(argv, core=self._core, log=log, cwd=cwd, env=env)
        contestant.pid = contestant.process.pid
        try:
            wait_ready(contestant, log)
        except DidNotStart:
            self.stop(contestant)
            raise
        return time.monotonic() - began

    def stop(self, contestant: Contestant) -> None:
        if contestant.process is not None:
            self._processes.stop(contestant.process)
            contestant.process = contestant.pid = None

    def _command(self, contestant: Contestant, folder: Path) -> tuple[list[str | Path], Path, dict[str, str] | None]:
        port, upstream = contestant.port, f"http://127.0.0.1:{self._upstream_port}"
        match contestant.name:
            case "nginx":
                config = folder / "nginx.conf"
                config.write_text(nginx_config(folder, port, self._upstream_port, self._streams))
                return [nginx_binary() or "nginx", "-p", folder, "-c", config, "-e", folder / "error.log"], folder, None
            case "pointsman":
                config = folder / "pointsman.yaml"
                config.write_text(pointsman_config(folder, port, free_port(), self._upstream_port, self._streams * 2))
                env = os.environ | {"POINTSMAN_ADMIN_TOKEN": "bench-" + os.urandom(12).hex()}
                return [BIN / "pointsman", "serve", "--config", config], folder, env
            case "granian echo":
                return [BIN / "granian", "--interface", "asginl", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
                        "--loop", "uvloop", "--no-ws", "--backlog", "4096", "--log-level", "warning", "layers:echo"], HERE, None
            case name:
                app = name.removeprefix("uvicorn ").removeprefix("+ ")
                return [sys.executable, HERE / "layers.py", app, "--port", str(port), "--upstream", upstream], folder, None


def nginx_binary() -> str | None:
    """Debian keeps it in /usr/sbin, which is not on every PATH."""
    return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def our_contestants(upstream_port: int) -> list[Contestant]:
    """In the order of the tables. Layers whose parts are not installed are left out."""
    found = [Contestant("direct", "direct", port=upstream_port),
             Contestant("nginx", "proxy"),
             Contestant("pointsman", "router", ready_path="/health/readiness"),
             Contestant("uvicorn echo", "layer"), Contestant("uvicorn + aiohttp", "layer"), Contestant("uvicorn + http1", "layer")]
    if (BIN / "granian").exists():
        found.append(Contestant("granian echo", "layer"))
    return found
