"""A launch command, read: which engine, which model, and the flags that decide whether it fits.

Only what memory depends on is understood; every other flag is passed over. What an engine would refuse is said here, before a
machine is rented for it: `--dtype fp8` does not exist in vLLM, however often it is published.
"""

from __future__ import annotations

import shlex
from typing import Any, Literal

import msgspec

Engine = Literal["vllm", "sglang"]

VLLM_DTYPES = ("auto", "half", "float16", "bfloat16", "float", "float32")
KV_DTYPES = {
    "vllm": ("auto", "float16", "bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2", "fp8_inc", "fp8_ds_mla"),
    "sglang": ("auto", "fp8_e5m2", "fp8_e4m3", "bf16", "bfloat16", "fp4_e2m1"),
}

# Flag -> field, per engine. Both take `--flag value` and `--flag=value`.
_VLLM = {
    "--model": "model", "--dtype": "dtype", "--quantization": "quantization", "-q": "quantization", "--kv-cache-dtype": "kv_dtype",
    "--max-model-len": "context", "--max-num-seqs": "slots", "--gpu-memory-utilization": "share",
    "--tensor-parallel-size": "tensor_parallel", "-tp": "tensor_parallel", "--pipeline-parallel-size": "pipeline_parallel",
    "-pp": "pipeline_parallel", "--max-num-batched-tokens": "batched_tokens", "--data-parallel-size": "data_parallel", "-dp": "data_parallel",
}
_SGLANG = {
    "--model-path": "model", "--model": "model", "--dtype": "dtype", "--quantization": "quantization", "--kv-cache-dtype": "kv_dtype",
    "--context-length": "context", "--max-running-requests": "slots", "--mem-fraction-static": "share", "--tp": "tensor_parallel",
    "--tp-size": "tensor_parallel", "--tensor-parallel-size": "tensor_parallel", "--pp-size": "pipeline_parallel",
    "--chunked-prefill-size": "batched_tokens", "--dp": "data_parallel", "--dp-size": "data_parallel", "--data-parallel-size": "data_parallel",
}
_NUMBERS = frozenset(("context", "slots", "tensor_parallel", "pipeline_parallel", "data_parallel", "batched_tokens"))
_UNCOUNTED = frozenset((
    "--cpu-offload-gb", "--kv-cache-memory-bytes", "--num-gpu-blocks-override", "--speculative-config", "--enable-lora", "--max-loras",
    "--kv-transfer-config", "--enable-expert-parallel", "--limit-mm-per-prompt", "--speculative-algorithm", "--speculative-draft-model-path",
    "--enable-dp-attention", "--max-total-tokens", "--lora-paths", "--enable-hierarchical-cache"))
"""Flags that memory depends on too, and that are not reckoned with."""


class BadCommand(ValueError):
    """Not a launch command that can be read; says what to write."""


class Launch(msgspec.Struct, frozen=True):
    """What the flags come to."""

    engine: Engine
    model: str
    dtype: str = "auto"
    quantization: str | None = None
    kv_dtype: str = "auto"
    context: int | None = None
    """None = what the model was trained for."""
    is_fitted: bool = False
    """The longest request is whatever there is room for: `--max-model-len auto` or -1."""
    slots: int | None = None
    """None = the engine's own default."""
    share: float = 0.92
    """Share of the card's memory that the engine takes (vLLM's default since 0.26)."""
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    data_parallel: int = 1
    """Engines beside each other, each on as many cards."""
    batched_tokens: int = 8192
    eager: bool = False
    """No CUDA graphs are kept."""
    refused: tuple[str, ...] = ()
    """Why the engine would not even start to load."""
    uncounted: tuple[str, ...] = ()
    """Flags that change what is in memory, and are passed over here."""

    @property
    def gpus(self) -> int:
        return self.tensor_parallel * self.pipeline_parallel


def read_launch(command: str) -> Launch:
    """A command as one writes it in a shell: `vllm serve MODEL --max-model-len 8192`. Raises BadCommand."""
    try:
        words = shlex.split(command.replace("\\\n", " "), comments=True)
    except ValueError as exc:
        raise BadCommand(f"{exc}: {command[:80]!r}") from exc
    engine, rest = _engine(words)
    found: dict[str, Any] = {"engine": engine}
    flags = _VLLM if engine == "vllm" else _SGLANG
    names: dict[str, str] = {}
    uncounted: list[str] = []
    at = 0
    while at < len(rest):
        word, _, value = rest[at].partition("=")
        if engine == "vllm" and word.startswith("--"):
            word = word.replace("_", "-")  # it takes both
        at += 1
        if word in _UNCOUNTED:
            uncounted.append(word)
        if word in ("--enforce-eager", "--disable-cuda-graph"):
            found["eager"] = True
        elif not word.startswith("-"):
            found.setdefault("model", word)
        elif word in flags:
            if not value:
                if at == len(rest):
                    raise BadCommand(f"{word} has no value")
                value, at = rest[at], at + 1
            found[flags[word]], names[flags[word]] = value, word
        elif at < len(rest) and not rest[at].startswith("-") and not value:
            at += 1  # a flag of no interest, with its value; of a switch this would be the model, which comes first
    if "model" not in found:
        raise BadCommand(f"no model in {command[:80]!r}: write `vllm serve MODEL ...` or `--model MODEL`")
    return _launch(found, names, tuple(dict.fromkeys(uncounted)))


def _engine(words: list[str]) -> tuple[Engine, list[str]]:
    while words and "=" in words[0] and not words[0].startswith("-"):
        words = words[1:]  # environment
    text = " ".join(words[:4])
    if words[:2] == ["vllm", "serve"]:
        return "vllm", words[2:]
    if "vllm.entrypoints.openai.api_server" in text:
        return "vllm", words[next(i for i, word in enumerate(words) if "api_server" in word) + 1 :]
    if "sglang.launch_server" in text:
        return "sglang", words[next(i for i, word in enumerate(words) if "launch_server" in word) + 1 :]
    image = next((i for i, word in enumerate(words) if word.startswith("vllm/vllm-openai")), None)
    if image is not None:
        return "vllm", words[image + 1 :]
    if words[:2] == ["sglang", "serve"]:
        return "sglang", words[2:]
    raise BadCommand(f"{' '.join(words[:3]) or 'nothing'!r} starts no engine that is known here: write `vllm serve MODEL ...` or "
                     "`python -m sglang.launch_server --model-path MODEL ...`")


def _launch(found: dict[str, Any], names: dict[str, str], uncounted: tuple[str, ...]) -> Launch:
    """`names`: how each field was called on the command line."""
    if found["engine"] == "vllm" and found.get("context") in ("auto", "-1"):
        del found["context"]
        found["is_fitted"] = True
    for name in _NUMBERS & found.keys():
        found[name] = _number(names[name], found[name])
    if "share" in found:
        try:
            found["share"] = float(found["share"])
        except ValueError as exc:
            raise BadCommand(f"the memory share {found['share']!r} is no number") from exc
    elif found["engine"] == "sglang":
        found["share"] = 0.88
    refused = [*_refusals(found), *(f"{names[name]} {found[name]} must be above 0" for name in sorted(_NUMBERS & found.keys()) if found[name] < 1)]
    for name in _NUMBERS & found.keys():  # so that the rest can be reckoned
        if found[name] < 1:
            del found[name]
    return Launch(**found, refused=tuple(refused), uncounted=uncounted)


def _number(name: str, text: str) -> int:
    scale = {"k": 1000, "K": 1024, "m": 10**6, "M": 2**20}.get(text[-1:], 0)
    try:
        number = float(text[:-1]) * scale if scale else int(text)
    except ValueError as exc:
        raise BadCommand(f"{name}: {text!r} is no number") from exc
    return int(number)


def _refusals(found: dict[str, Any]) -> list[str]:
    engine: Engine = found["engine"]
    refused = []
    dtype, kv = found.get("dtype", "auto"), found.get("kv_dtype", "auto")
    if dtype not in VLLM_DTYPES:
        hint = "; for FP8 weights write `--quantization fp8`, or name an FP8 checkpoint" if "fp8" in dtype else ""
        refused.append(f"--dtype {dtype} does not exist ({', '.join(VLLM_DTYPES)}){hint}")
    if kv not in KV_DTYPES[engine]:
        refused.append(f"--kv-cache-dtype {kv} does not exist in {engine} ({', '.join(KV_DTYPES[engine])})")
    share = found.get("share")
    if share is not None and not 0 < share <= 1:
        refused.append(f"the memory share {share:g} must lie between 0 and 1")
    return refused
