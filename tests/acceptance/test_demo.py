"""The main job, in one command, as a person sees it."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading

PROGRAM = (sys.executable, "-m", "pointsman", "demo")


def test_the_demo_ends_with_a_true_table(tmp_path):
    command = [*PROGRAM, "--once", "--fast", "50", "--requests", "60", "--json", "rows.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)

    assert done.stderr == ""
    assert done.returncode == 0
    for words in ("What was asked", "By tier", "The bill", "TTFT", "Modelled, in all rows"):
        assert words in done.stdout
    told = json.loads((tmp_path / "rows.json").read_text())
    assert len(told["rows"]) == 60
    assert {row["tier"] for row in told["rows"]} == {"small", "medium", "large"}
    assert {row["stream"] for row in told["rows"]} == {True, False}

    with sqlite3.connect(tmp_path / ".pointsman" / "demo" / "records.db") as db:
        count, total, marked = db.execute("select count(*), sum(cost_nano_usd), sum(simulated) from records").fetchone()
    db.close()
    assert (count, marked) == (60, 60)
    assert total == sum(row["cost_nano_usd"] for row in told["rows"]) == told["bill"]["routed"]
    assert sum(tier["cost_nano_usd"] for tier in told["tiers"]) == total
    assert all(row["said_nano_usd"] == row["cost_nano_usd"] for row in told["rows"] if not row["stream"])
    assert f"${total / 1e9:.9f}" in done.stdout


def test_after_the_table_it_serves_the_persons_own_client_until_ctrl_c(tmp_path):
    command = [*PROGRAM, "--fast", "50", "--requests", "3"]
    demo = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=os.environ | {"PYTHONUNBUFFERED": "1"})
    late = threading.Timer(240, demo.kill)
    late.start()
    try:
        base = next(line.split("=")[1].split()[0] for line in demo.stdout if "export OPENAI_BASE_URL" in line)
        answer = _asked(base)
        shown = next(line for line in demo.stdout if line.startswith("chat: "))
        demo.send_signal(signal.SIGINT)
        _, errors = demo.communicate()
    finally:
        late.cancel()
        demo.kill()

    assert answer.choices[0].message.content
    assert shown.startswith("chat: small")
    assert (demo.returncode, errors) == (0, "")


def test_ctrl_c_before_the_table_leaves_no_traceback(tmp_path):
    demo = subprocess.Popen([*PROGRAM, "--fast", "1"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=os.environ | {"PYTHONUNBUFFERED": "1"})
    late = threading.Timer(240, demo.kill)
    late.start()
    try:
        next(line for line in demo.stdout if line.startswith("router: "))
        demo.send_signal(signal.SIGINT)
        rest, errors = demo.communicate()
    finally:
        late.cancel()
        demo.kill()

    assert (demo.returncode, errors) == (130, "")
    assert rest.endswith("stopped\n")


def _asked(base):
    from openai import OpenAI

    with OpenAI(base_url=base, api_key="any") as client:
        return client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "Who wrote Emma?"}])
