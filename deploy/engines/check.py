"""Has the engines' own command lines parse every launch file: `python deploy/engines/check.py --vllm PYTHON --sglang PYTHON`.

PYTHON is an interpreter whose environment has the engine (`make check-launches` uses the one of `make test-real`). Nothing is loaded
and no GPU is needed: only the arguments are read, by the parser that would read them on the machine. A flag that does not exist is
tried as well, and must be refused: else "parsed" would say nothing. `--write` writes RESULTS.md beside this file, and wants both.

SGLang's parser needs no GPU, but imports much of SGLang: `pip install --no-deps sglang orjson triton ipython traitlets` into an environment that
has torch, such as vLLM's.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
PARSERS = {
    "vllm": """
import json, sys
try:
    from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
except ImportError:
    from vllm.entrypoints.openai.cli_args import make_arg_parser, validate_parsed_serve_args
try:
    from vllm.utils.argparse_utils import FlexibleArgumentParser
except ImportError:
    from vllm.utils import FlexibleArgumentParser
import vllm
print(json.dumps(["version", vllm.__version__]))
parser = make_arg_parser(FlexibleArgumentParser())
for name, words in json.load(sys.stdin):
    try:
        found = parser.parse_args(words)
        validate_parsed_serve_args(found)
        print(json.dumps([name, ""]))
    except SystemExit:
        print(json.dumps([name, "refused (see above)"]))
    except Exception as exc:
        print(json.dumps([name, f"{type(exc).__name__}: {exc}"]))
""",
    "sglang": """
import argparse, json, sys
from sglang.srt.server_args import ServerArgs
import sglang
print(json.dumps(["version", sglang.__version__]))
parser = argparse.ArgumentParser()
ServerArgs.add_cli_args(parser)
for name, words in json.load(sys.stdin):
    try:
        parser.parse_args(words)
        print(json.dumps([name, ""]))
    except SystemExit:
        print(json.dumps([name, "refused (see above)"]))
""",
}


UNKNOWN = "--no-such-flag"


def words_of(script: Path) -> tuple[str, list[str]]:
    """Engine and its arguments."""
    text = script.read_text("utf-8").replace("\\\n", " ")
    line = next(line for line in text.splitlines() if line.startswith("exec "))
    words = shlex.split(line)[1:]
    if words[:2] == ["vllm", "serve"]:
        return "vllm", words[2:]
    if "sglang.launch_server" in words:
        return "sglang", words[words.index("sglang.launch_server") + 1 :]
    image = next(i for i, word in enumerate(words) if word.startswith("vllm/vllm-openai"))
    return "vllm", words[image + 1 :]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for engine in PARSERS:
        parser.add_argument(f"--{engine}", metavar="PYTHON", help=f"an interpreter that has {engine}")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md; needs every engine")
    asked = vars(parser.parse_args())
    bad = checked = 0
    rows: list[str] = []
    for engine, code in PARSERS.items():
        scripts = [(str(script.relative_to(HERE)), words_of(script)) for script in sorted(HERE.glob("*/*.sh"))]
        lines = [(name, words) for name, (kind, words) in scripts if kind == engine]
        if asked[engine] is None:
            print(f"{engine}: {len(lines)} files not checked: no interpreter named")
            continue
        control = [(UNKNOWN, [*lines[0][1], UNKNOWN])]
        ran = subprocess.run([asked[engine], "-c", code], input=json.dumps(lines + control), capture_output=True, text=True, check=False)
        told = dict(json.loads(line) for line in ran.stdout.splitlines() if line.startswith("["))
        for name, _ in lines:
            why = told.get(name, "the parser ended before it")
            checked, bad = checked + 1, bad + bool(why)
            print(f"{name}: {why or 'parsed'}")
            rows.append(f"| `{name}` | {engine} {told.get('version', '?')} | {why or 'parsed'} |")
        if not told.get(UNKNOWN):
            bad += 1
            print(f"{engine}: does not refuse {UNKNOWN}, so that it parsed the others says nothing")
        if any(told.get(name, "x") for name, _ in lines):
            print(ran.stderr[-3000:], file=sys.stderr)
    print(f"{checked} checked, {bad} refused")
    if asked["write"] and all(asked[engine] for engine in PARSERS):
        (HERE / "RESULTS.md").write_text(report(rows))
    sys.exit(1 if bad or not checked else 0)


def report(rows: list[str]) -> str:
    return f"""# What the engines' own command lines say

`make check-launches` with both engines' interpreters and `--write`, {time.strftime("%-d %B %Y")}. Arguments only: nothing was loaded, and
whether it fits the card is for `pointsman plan engines`. Each parser refused `{UNKNOWN}` in the same run.

| file | read by | |
|---|---|---|
{chr(10).join(rows)}
"""


if __name__ == "__main__":
    main()
