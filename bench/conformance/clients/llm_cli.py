"""Simon Willison's `llm` command line tool, told of the server by `extra-openai-models.yaml` as its documentation has it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from outcome import BASE, CITY, LONG, MODEL, QUESTION, TOO_LONG, TOOL_QUESTION, WEATHER, expect, expect_freed, report

HOME = Path(tempfile.mkdtemp(prefix="conformance-llm-"))
LLM = Path(sys.executable).with_name("llm")
MODELS = f"""\
- model_id: here
  model_name: {MODEL}
  api_base: "{BASE}"
  supports_tools: true
  supports_schema: true
"""
TOOL = f'''\
def weather(city: str) -> str:
    """{WEATHER}"""
    return "sunny in " + city
'''
(HOME / "extra-openai-models.yaml").write_text(MODELS)


def command(prompt: str, *more: str, tokens: int = 16) -> list[str]:
    return [str(LLM), "prompt", "-m", "here", "-n", "-o", "temperature", "0", "-o", "max_tokens", str(tokens), *more, prompt]


def ran(argv: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, env=environment(), capture_output=True, text=True, timeout=60)


def environment() -> dict[str, str]:
    return os.environ | {"LLM_USER_PATH": str(HOME), "PYTHONUNBUFFERED": "1"}


def answered(prompt: str, *more: str, tokens: int = 16) -> str:
    done = ran(command(prompt, *more, tokens=tokens))
    expect(done.returncode == 0, done.stderr.strip()[-200:])
    return done.stdout


def chat() -> None:
    said = answered(QUESTION, "--no-stream")
    expect("Paris" in said, said)


def stream() -> None:
    running = subprocess.Popen(command(QUESTION), env=environment(), stdout=subprocess.PIPE)
    parts = []
    while part := os.read(running.stdout.fileno(), 4096):
        parts.append(part.decode())
    expect(running.wait(60) == 0 and "Paris" in "".join(parts) and len(parts) > 3, str(parts))


def tools() -> None:
    done = ran(command(TOOL_QUESTION, "--functions", TOOL, "--td", "--no-stream", tokens=60))
    expect(re.search(r"weather\(.*(Paris|Rome)", done.stderr) and re.search("sunny in (Paris|Rome)", done.stderr),
           f"{done.stdout.strip()[-100:]} {done.stderr.strip()[-100:]}")


def json_schema() -> None:
    said = answered(QUESTION, "--schema", json.dumps(CITY), "--no-stream", tokens=40)
    expect(json.loads(said)["city"] in ("Paris", "Rome"), said)


def usage() -> None:
    told = [re.search(r"(\d+) input, (\d+) output", ran(command(QUESTION, "-u", *how, tokens=8)).stderr) for how in (("--no-stream",), ())]
    expect(all(told), str(told))
    plain, streamed = (tuple(map(int, found.groups())) for found in told)
    expect(plain[0] > 5 and plain[1] > 0 and streamed == plain, f"{plain} {streamed}")


def errors() -> None:
    done = ran(command(TOO_LONG, tokens=4))
    expect(done.returncode == 1 and "Error code: 400" in done.stderr, f"exit {done.returncode}: {done.stderr.strip()[-200:]}")


def cancellation() -> None:
    running = subprocess.Popen(command(LONG, tokens=900), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    os.read(running.stdout.fileno(), 1)
    expect_freed(lambda: running.send_signal(signal.SIGINT))
    expect(running.wait(10) != 0, "no sign of the interrupt")


report("llm", chat=chat, stream=stream, tools=tools, json_schema=json_schema, usage=usage, errors=errors, cancellation=cancellation)
