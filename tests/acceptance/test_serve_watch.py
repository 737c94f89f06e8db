"""`pointsman serve` reads its configuration again when the file changes, and `pointsman config diff` says what that would do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pointsman.testing.served import Served

CONFIG = """
server: {{port: 0}}
admin: {{port: 0, token: "file:token"}}
tiers:
  small: {{model: small-model, capabilities: {{context: 8192}}, endpoints: [{{url: "http://127.0.0.1:9/v1", slots: {slots}, api_key: "file:key"}}]}}
"""


class Router(Served):
    """With the command that says what a changed file would do to it."""

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder, "--no-log-requests", *options)

    def diff(self) -> tuple[int, str]:
        done = subprocess.run([sys.executable, "-m", "pointsman", "config", "diff", "router.yaml", "--against", f"http://127.0.0.1:{self.admin_port}"], cwd=self.folder,
                              capture_output=True, text=True, check=False, timeout=120)
        return done.returncode, done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("the-token\n")
    (tmp_path / "key").write_text("first-key\n")
    (tmp_path / "router.yaml").write_text(CONFIG.format(slots=4))
    return tmp_path


def test_a_changed_file_is_read_and_a_bad_one_told_once(folder: Path) -> None:
    with Router(folder) as router:
        assert router.diff() == (0, "")

        (folder / "new").write_text(CONFIG.format(slots=8))
        (folder / "new").rename(folder / "router.yaml")
        router.wait_for("configuration reloaded, generation 2")
        assert router.diff() == (0, "")

        (folder / "router.yaml").write_text("tiers: {small: {modle: x}}")
        router.wait_for("tiers.small.modle")
        (folder / "router.yaml").unlink()
        router.wait_for("the configuration file is gone")
        (folder / "router.yaml").write_text(CONFIG.format(slots=16))
        router.wait_for("configuration reloaded, generation 3")

        (folder / "key").write_text("second-key\n")
        router.wait_for("configuration reloaded, generation 4")

    assert sum("tiers.small.modle" in line for line in router.lines) == 1
    assert sum("is gone" in line for line in router.lines) == 1
    assert not any("-key" in line for line in router.lines)


def test_without_watching_the_file_may_differ_and_diff_says_how(folder: Path) -> None:
    with Router(folder, "--no-watch", "--port", "0") as router:
        (folder / "router.yaml").write_text(CONFIG.format(slots=8).replace("port: 0}}", "port: 0}}") + "records: {path: other/r.db}\n")
        (folder / "key").write_text("second-key\n")

        code, said = router.diff()

    assert code == 1
    assert said == ("records.path: .pointsman/records.db -> other/r.db (needs restart)\n"
                    "tiers.small.endpoints[0].api_key: the secret has changed\n"
                    "tiers.small.endpoints[0].slots: 4 -> 8\n")
    assert not any("reloaded" in line for line in router.lines)
