"""Who routes: how each contestant is installed, configured and started in front of the same fleet.

Each runs on the router's core, alone, restarted for every cell. The strangers are the released packages, pinned in
`requirements/rivals`, in environments of their own; their flags are those of their documentation, with health checks every 2 s instead of 60 s, so
that a dead endpoint is noticed within a cell. The `tuned` rows lower the imbalance at which `cache_aware` stops following
the cache from 64 requests to 8, which suits a fleet this small. Rows with an SLA or a limit turn requests away instead of
queueing them for longer than they may take; the others queue without end in the engines, as vLLM does by default.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from machines import GPU, MODEL

sys.path += [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "throughput")]
from contestants import BIN, Contestant, DidNotStart, nginx_binary, wait_ready
from environment import NotInstalled, python_environment
from processes import Processes, free_port
from rivals import DEFAULT_CACHE, PINS, RIVALS

from pointsman.pools.balancers.choice import BALANCERS
from pointsman.testing.gpu_models import gpu_named

HERE = Path(__file__).resolve().parent

__all__ = ["DEFAULT_CACHE", "ROUTERS", "DidNotStart", "Processes", "Router", "environment", "start", "version_of"]

PACKAGES = {rival.name: rival.version for rival in RIVALS if rival.name in ("sglang-router", "vllm-router")}
_STRANGERS_FLAGS = ("--policy", "cache_aware", "--health-check-interval-secs", "2", "--health-check-timeout-secs", "1",
                    "--worker-startup-check-interval", "1", "--request-timeout-secs", "300")
PROMISED_S, MAX_WAIT_S = 2.0, 0.4
"""`sla.ttft_p95_max` of the rows that have one, about what a request of average length may take to be in time; and how long
one may stand in line at most (`queue.max_wait`): in an overload the line is full, and everyone in it waits that long."""
_TUNED = ("--balance-abs-threshold", "8", "--balance-rel-threshold", "1.2")


@dataclass(frozen=True)
class Router:
    """One column of the comparison."""

    name: str
    product: str
    """`pointsman`, `nginx`, or one of PACKAGES."""
    how: str = ""
    """Pointsman's balancer, nginx's directive, or `tuned`."""
    promises: bool = False
    """Pointsman is told the time to first token that the tier is to keep, and sheds what cannot keep it."""
    is_quick: bool = False
    """It is in `--quick` runs."""


ROUTERS = (
    Router("pointsman power_of_two", "pointsman", "power_of_two"),
    Router("pointsman least_loaded", "pointsman", "least_loaded"),
    Router("pointsman prefix", "pointsman", "prefix", is_quick=True),
    Router("pointsman round_robin", "pointsman", "round_robin"),
    Router("pointsman hashed (candidate)", "pointsman", "hashed"),
    Router("pointsman prefix + SLA", "pointsman", "prefix", promises=True, is_quick=True),
    Router("nginx round robin", "nginx", is_quick=True),
    Router("nginx least_conn", "nginx", "least_conn;", is_quick=True),
    Router("sglang-router cache_aware", "sglang-router", is_quick=True),
    Router("sglang-router cache_aware tuned", "sglang-router", "tuned", is_quick=True),
    Router("sglang-router cache_aware tuned + limit", "sglang-router", "limit"),
    Router("vllm-router cache_aware", "vllm-router", is_quick=True),
    Router("vllm-router cache_aware tuned", "vllm-router", "tuned"),
)


def environment(product: str, folder: Path) -> Path:
    """The `bin` of an environment with that package, made when it is not there. DidNotStart: it cannot be installed."""
    try:
        return python_environment(folder / product, PINS / f"{product}.txt").parent
    except NotInstalled as error:
        raise DidNotStart(product, "it cannot be installed", str(error)) from error


def version_of(product: str) -> str:
    """For the report."""
    if product == "pointsman":
        return f"pointsman {importlib.metadata.version('pointsman')}"
    if product == "nginx":
        said = subprocess.run([nginx_binary() or "nginx", "-v"], capture_output=True, text=True, check=False).stderr
        return "nginx " + said.strip().rpartition("/")[2]
    return f"{product} {PACKAGES[product]}"


def start(router: Router, ports: list[int], *, processes: Processes, folder: Path, environments: Path,
          core: int | None, fast: float, slots: int) -> Contestant:
    """Starts it and waits until it says that it is ready. DidNotStart: it is not.

    `slots`: what one engine has in hand of this traffic in time, for the row with a limit. A promise needs none declared.
    """
    log = folder / "router.log"
    contestant = Contestant(router.name, "router", port=free_port())
    env = dict(os.environ)
    match router.product:
        case "pointsman":
            config = folder / "pointsman.yaml"
            config.write_text(pointsman_config(folder, contestant.port, ports, router, fast))
            argv: list[str | Path] = [BIN / "pointsman", "serve", "--config", config]
            if router.how not in BALANCERS:
                argv[:1] = [BIN / "python", HERE / "candidate.py"]
            contestant.ready_path = "/health/readiness"
            env["POINTSMAN_ADMIN_TOKEN"] = "bench-" + os.urandom(12).hex()
        case "nginx":
            if (binary := nginx_binary()) is None:
                raise DidNotStart(router.name, "nginx is not installed", "")
            config = folder / "nginx.conf"
            config.write_text(nginx_config(folder, contestant.port, ports, router.how))
            argv = [binary, "-p", folder, "-c", config, "-e", folder / "error.log"]
        case _:
            urls = [f"http://127.0.0.1:{port}" for port in ports]
            argv = [environment(router.product, environments) / router.product,
                    *(["launch"] if router.product == "sglang-router" else []),
                    "--host", "127.0.0.1", "--port", str(contestant.port), "--prometheus-port", str(free_port()),
                    "--log-level", "warn" if router.product == "sglang-router" else "warning",
                    *_STRANGERS_FLAGS, *(_TUNED if router.how in ("tuned", "limit") else ()),
                    *(_limit(slots * len(ports)) if router.how == "limit" else ()), "--worker-urls", *urls]
    contestant.process = processes.start(argv, core=core, log=log, cwd=folder, env=env)
    contestant.pid = contestant.process.pid
    wait_ready(contestant, log)
    return contestant


def _limit(most: int) -> tuple[str, ...]:
    """What comes nearest to the rows with an SLA: as many at once, and the shortest wait that can be said."""
    return "--max-concurrent-requests", str(most), "--queue-size", str(2 * most), "--queue-timeout-secs", "1"


def pointsman_config(folder: Path, port: int, ports: list[int], router: Router, fast: float) -> str:
    """One tier over the fleet, everything else as it comes. Times in it are real ones, `fast` times shorter."""
    gpu = gpu_named(GPU)
    sla = (f"    sla: {{ttft_p95_max: {PROMISED_S / fast * 1000:.0f}ms}}\n    queue: {{max_wait: {MAX_WAIT_S / fast * 1000:.0f}ms}}\n"
           if router.promises else "")
    endpoints = "".join(
        f'      - {{url: "http://127.0.0.1:{p}/v1", engine: vllm, slots: {gpu.slots}, gpu: {{type: {gpu.name}, '
        f"usd_per_hour: {gpu.usd_per_hour}, tokens_per_s: {gpu.tokens_per_s:g}}}}}\n" for p in ports)
    return f"""server: {{host: 127.0.0.1, port: {port}}}
admin: {{host: 127.0.0.1, port: 0, token: "${{POINTSMAN_ADMIN_TOKEN}}"}}
records: {{path: "{folder}/records.db"}}
tiers:
  fleet:
    model: {MODEL}
    balancer: {router.how if router.how in BALANCERS else "prefix"}
{sla}    endpoints:
{endpoints}routes:
  auto: {{ladder: [fleet], default_tier: fleet, pipeline: ["pinned:fleet"]}}
"""


def nginx_config(folder: Path, port: int, ports: list[int], directive: str) -> str:
    """One worker, nothing buffered, its own defaults for failed servers (one failure: out for 10 s)."""
    temp = "".join(f"  {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    servers = "".join(f"    server 127.0.0.1:{p};\n" for p in ports)
    return f"""{"user root;" if os.geteuid() == 0 else ""}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 8000; }}
http {{
{temp}  access_log off;
  upstream fleet {{
    {directive}
{servers}    keepalive 256;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://fleet;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 300s;
      client_body_buffer_size 512k;
      client_max_body_size 32m;
    }}
  }}
}}
"""
