"""What the pages show works: configurations load, Python runs, JSON is JSON, SQL fits the store.

- A ```yaml block with `tiers:` is a complete configuration and must load. One whose top-level keys are sections of a
  configuration is laid over `BASE` and must load. Anything else (Prometheus, systemd) is not ours.
- A ```python block is run as it stands, against a router over a simulated fleet that takes the place of `127.0.0.1:4000`.
- A comment `<!-- not run: why -->` on the line before a block exempts it.
"""

import asyncio
import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from sqlalchemy import create_engine
from sqlalchemy.schema import CreateTable

from pointsman.config import schema
from pointsman.config.load import load_text
from pointsman.records.rows import METADATA
from pointsman.testing.router import RunningRouter
from pointsman.testing.server_thread import ServerThread
from pointsman.testing.simulator import simulated_fleet, tiers_yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"(?P<before><!-- not run: .+? -->\n)?^(?P<indent> *)```(?P<kind>\w+)[^\n]*\n(?P<text>.*?)^(?P=indent)```",
                   re.DOTALL | re.MULTILINE)
ADDRESS = "127.0.0.1:4000"
SECTIONS = set(schema.Root.model_fields)
ENVIRONMENT = {name: f"value-of-{name.lower()}" for name in (
    "EXAMPLE_KEY", "APP_KEY", "SHOP_KEY", "BATCH_KEY", "CLINIC_KEY", "SUPPORT_APP_KEY", "TOGETHER_API_KEY", "POINTSMAN_ADMIN_TOKEN",
    "POINTSMAN_NOTICE_KEY")}
BASE = """
tiers:
  small: {model: small-model, endpoints: [{url: "http://127.0.0.1:9/v1", gpu: {type: RTX 4090, usd_per_hour: 0.51}}]}
  medium: {model: medium-model, endpoints: [{url: "http://127.0.0.1:9/v1", gpu: {type: A100, usd_per_hour: 1.43}}]}
  large: {model: large-model, endpoints: [{url: "http://127.0.0.1:9/v1", gpu: {type: H100, usd_per_hour: 2.40}}]}
"""


def blocks(*kinds):
    """Every block of these kinds, as (text) parameters named after their page and line."""
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        for block in BLOCK.finditer(text):
            if block["kind"] in kinds and not block["before"]:
                line = text.count("\n", 0, block.start()) + 1
                found.append(pytest.param(block["text"], id=f"{page.relative_to(ROOT).as_posix()}:{line}"))
    return found


class Router:
    """A router over a simulated fleet, with the life of a server."""

    def __init__(self):
        self.url = ""
        self._stop = None
        self._life = None

    async def start(self):
        ready = asyncio.get_running_loop().create_future()
        self._stop = asyncio.Event()
        self._life = asyncio.create_task(self._live(ready))
        await asyncio.wait({ready, self._life}, return_when=asyncio.FIRST_COMPLETED)
        if self._life.done():
            self._life.result()

    async def _live(self, ready):
        async with simulated_fleet(time_scale=100) as fleet, RunningRouter(load_text(tiers_yaml(fleet))) as router:
            self.url = router.url
            ready.set_result(None)
            await self._stop.wait()

    async def aclose(self):
        self._stop.set()
        await self._life


@pytest.fixture(scope="module")
def router():
    with ServerThread(Router()) as thread:
        yield thread.server


def configurations():
    return [block for block in blocks("yaml") if set(yaml.safe_load(block.values[0]) or ()) <= SECTIONS]


@pytest.mark.parametrize("text", configurations())
def test_a_configuration_loads(text, tmp_path):
    said = yaml.safe_load(text)
    if "tiers" not in said:
        text = f"{BASE}\n{text}"
    text = re.sub(r"file:[\w./-]+", f"file:{tmp_path}/secret", text)
    (tmp_path / "secret").write_text("value-of-a-file\n")

    settings = load_text(text, "a snippet", ENVIRONMENT)

    assert set(said.get("tiers", {})) <= set(settings.tiers)
    assert set(said.get("routes", {})) <= set(settings.routes)


def test_enough_configurations_were_found():
    assert len(configurations()) >= 8


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_an_example_loads(path):
    assert load_text(path.read_text("utf-8"), path.name, ENVIRONMENT).routes


@pytest.mark.parametrize("text", blocks("python"))
def test_a_python_snippet_runs_and_shows_something(text, router, tmp_path):
    address = router.url.removeprefix("http://").removesuffix("/v1")
    script = tmp_path / "snippet.py"
    script.write_text(text.replace(ADDRESS, address))
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}

    done = subprocess.run([sys.executable, str(script)], env=environment, cwd=tmp_path, capture_output=True, text=True,
                          check=False, timeout=240)

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), "a snippet shows something"


@pytest.mark.parametrize("text", blocks("json"))
def test_json_is_json(text):
    assert json.loads(text)


@pytest.fixture
def store(tmp_path):
    engine = create_engine("sqlite://")
    with sqlite3.connect(tmp_path / "records.db") as connection:
        for table in METADATA.sorted_tables:
            connection.execute(str(CreateTable(table).compile(engine)))
        yield connection
    connection.close()


@pytest.mark.parametrize("text", blocks("sql"))
def test_sql_fits_the_store(text, store):
    statements = [statement for statement in text.split(";") if statement.strip()]

    for statement in statements:
        store.execute(statement)

    assert statements


def test_the_changelog_knows_this_version():
    from pointsman import __version__

    text = (ROOT / "CHANGELOG.md").read_text("utf-8")

    assert re.search(rf"^## \[{re.escape(__version__)}\]", text, re.MULTILINE)
