"""`pointsman serve` reads its configuration again when the file changes, and `pointsman config diff` says what that would do."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

CONFIG = """
server: {{port: 0}}
admin: {{port: 0, token: "file:token"}}
tiers:
  small: {{model: small-model, capabilities: {{context: 8192}}, endpoints: [{{url: "http://127.0.0.1:9/v1", slots: {slots}, api_key: "file:key"}}]}}
"""


class Serving:
    """A `pointsman serve` and the lines that it says."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.lines: list[str] = []
        self._folder, self._heard = folder, threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pointsman", "serve", "-c", "router.yaml", "--no-log-requests", *options], cwd=folder, text=True,
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ | {"COLUMNS": "500", "NO_COLOR": "1"})
        self._listening = threading.Thread(target=self._listen)
        self._listening.start()

    def __enter__(self) -> Serving:
        self.admin = f"http://127.0.0.1:{self.wait_for('serving on ').rsplit(' ', 1)[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(120)
        self._listening.join()
        if self._process.stderr is not None:
            self._process.stderr.close()

    def _listen(self) -> None:
        for line in self._process.stderr or ():
            with self._heard:
                self.lines.append(line.rstrip())
                self._heard.notify_all()

    def wait_for(self, words: str, times: int = 1) -> str:
        with self._heard:
            if not self._heard.wait_for(lambda: sum(words in line for line in self.lines) >= times, 120):
                raise AssertionError(f"no {words!r} in {self.lines}")
            return next(line for line in self.lines if words in line)

    def diff(self) -> tuple[int, str]:
        done = subprocess.run([sys.executable, "-m", "pointsman", "config", "diff", "router.yaml", "--against", self.admin], cwd=self._folder,
                              capture_output=True, text=True, check=False, timeout=120)
        return done.returncode, done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("the-token\n")
    (tmp_path / "key").write_text("first-key\n")
    (tmp_path / "router.yaml").write_text(CONFIG.format(slots=4))
    return tmp_path


def test_a_changed_file_is_read_and_a_bad_one_told_once(folder: Path) -> None:
    with Serving(folder) as router:
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
    with Serving(folder, "--no-watch", "--port", "0") as router:
        (folder / "router.yaml").write_text(CONFIG.format(slots=8).replace("port: 0}}", "port: 0}}") + "records: {path: other/r.db}\n")
        (folder / "key").write_text("second-key\n")

        code, said = router.diff()

    assert code == 1
    assert said == ("records.path: .pointsman/records.db -> other/r.db (needs restart)\n"
                    "tiers.small.endpoints[0].api_key: the secret has changed\n"
                    "tiers.small.endpoints[0].slots: 4 -> 8\n")
    assert not any("reloaded" in line for line in router.lines)
