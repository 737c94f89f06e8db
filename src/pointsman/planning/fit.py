"""Weights + working memory + KV cache against the card: does this launch start, and how much can it hold at once?

    room for KV = share x card - weights - working memory          [vLLM: the share holds all three]
    room for KV = share x card - weights                           [SGLang: working memory comes out of the rest]
    tokens      = room / bytes of one token's keys and values on this GPU

Weights are parameters x bytes, with embedding and head left at 16 bits where the rest is quantised. Working memory is an
estimate: the CUDA context and libraries, the activations of one step of `batched_tokens`, the logits of every slot, and
CUDA graphs. It is good to about half a gibibyte; what depends on less than that is called tight, not fitting.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from pointsman.planning.cards import CARDS, Card
from pointsman.planning.launch import Launch
from pointsman.planning.models import Architecture

GIB = 2**30
CONTEXT_GIB, PEERS_GIB, GRAPHS_GIB = 0.6, 0.4, 0.5
TIGHT_GIB = 0.5
"""Less room than this to spare is within the error of the estimate."""
TYPICAL_TOKENS = 700
"""Of one request in and out: the published traffic, 500 and 200."""
DEFAULT_SLOTS = 256

_BYTES = {None: 2.0, "fp8": 1.0, "int8": 1.0, "int4": 0.53, "fp4": 0.56}
"""Bytes of a weight, scales included: 4-bit groups of 128 carry a 16-bit scale and zero each, FP4 blocks of 16 an 8-bit scale."""

Verdict = Literal["fits", "tight", "does not fit", "does not start"]


class Fit(msgspec.Struct, frozen=True):
    """One launch on one kind of card. Gibibytes are per GPU."""

    verdict: Verdict
    why: str
    card: str
    gpus: int
    weights_gib: float
    working_gib: float
    kv_gib: float
    kv_bytes_per_token: float
    """On one GPU."""
    tokens: int
    """Context that all requests together may have; 0 = nothing is left for any."""
    context: int
    """Longest request that the flags allow."""
    full_requests: float
    """How many of the longest fit at once."""
    typical_requests: int
    """How many of 700 tokens fit at once."""
    warnings: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    """What would make it fit, the smallest change first."""


def fit(launch: Launch, model: Architecture, card: Card) -> Fit:
    """Whether `launch` of `model` starts on `launch.gpus` such cards."""
    found = _fit(launch, model, card)
    if found.verdict == "fits":
        return found
    return msgspec.structs.replace(found, changes=tuple(_changes(launch, model, card)))


def _fit(launch: Launch, model: Architecture, card: Card) -> Fit:
    weights, working = weights_gib(launch, model), working_gib(launch, model)
    budget = launch.share * card.memory_gib
    kv_gib = budget - weights - (working if launch.engine == "vllm" else 0.0)
    per_token = kv_bytes(launch, model)
    tokens = max(0, int(kv_gib * GIB / per_token))
    context = max(1, min(model.context, tokens)) if launch.is_fitted else launch.context or model.context
    verdict, why = _verdict(launch, model, card, budget, weights, working, tokens, context, per_token)
    return Fit(
        verdict, why, card.name, launch.gpus, weights, working, max(0.0, kv_gib), per_token, tokens, context, tokens / context,
        tokens // TYPICAL_TOKENS, tuple(_warnings(launch, model, card, tokens)))


def _verdict(launch: Launch, model: Architecture, card: Card, budget: float, weights: float, working: float, tokens: int,
             context: int, per_token: float) -> tuple[Verdict, str]:
    if launch.refused:
        return "does not start", "; ".join(launch.refused)
    if model.kv_heads % launch.tensor_parallel and launch.tensor_parallel % model.kv_heads:
        return "does not start", f"{model.kv_heads} KV heads cannot be split {launch.tensor_parallel} ways"
    if context > model.context:
        return "does not start", f"a context of {context:,} is longer than the {model.context:,} that the model was trained for"
    if weights > budget:
        return "does not fit", f"weights of {weights:.1f} GiB do not fit into {launch.share:g} x {card.memory_gib:g} = {budget:.1f} GiB"
    if launch.engine == "sglang" and working > (1 - launch.share) * card.memory_gib:
        return "does not fit", f"working memory of {working:.1f} GiB does not fit beside a static share of {launch.share:g}"
    if tokens < context:
        need = context * per_token / GIB
        return "does not fit", (f"KV cache for one request of {context:,} tokens takes {need:.1f} GiB; {tokens * per_token / GIB:.1f} GiB "
                                f"are left ({tokens:,} tokens): the engine refuses to start")
    spare = (tokens - context) * per_token / GIB
    if launch.is_fitted and context < model.context:
        return "fits", f"with requests of at most {context:,} tokens: the engine takes what there is room for"
    if spare < TIGHT_GIB:
        return "tight", f"only {spare:.1f} GiB more than one longest request needs: within the error of this estimate"
    return "fits", f"{tokens:,} tokens of KV cache"


def weights_gib(launch: Launch, model: Architecture) -> float:
    """Per GPU."""
    per_weight = _BYTES[quantised(launch)]
    embeddings = model.embedding_parameters
    total = (model.parameters - embeddings) * per_weight + embeddings * (4.0 if launch.dtype in ("float", "float32") else 2.0)
    return total / launch.gpus / GIB


def working_gib(launch: Launch, model: Architecture) -> float:
    """Per GPU: what is neither weights nor KV."""
    activations = launch.batched_tokens * (2 * model.intermediate / launch.tensor_parallel + 4 * model.hidden) * 2 / GIB
    logits = (launch.slots or DEFAULT_SLOTS) * model.vocabulary * 6 / GIB
    peers = PEERS_GIB if launch.gpus > 1 else 0.0
    return CONTEXT_GIB + peers + activations + logits + (0.0 if launch.eager else GRAPHS_GIB)


def kv_bytes(launch: Launch, model: Architecture) -> float:
    """Of one token on one GPU. Heads are split over GPUs until each has one; beyond that they are copied."""
    per_value = 1.0 if launch.kv_dtype.startswith("fp8") else 0.56 if launch.kv_dtype.startswith("fp4") else 2.0
    ways = min(launch.tensor_parallel, model.kv_heads) * launch.pipeline_parallel
    return model.kv_bytes_per_token(per_value) / ways


def quantised(launch: Launch) -> str | None:
    """How the weights are kept: by the flag, else by what the model's name says. `--dtype fp8` is refused, but it is meant."""
    said = f"{launch.quantization or ''} {launch.dtype} {launch.model}".lower()
    for words, kind in ((("fp4", "nvfp4", "mxfp4"), "fp4"), (("fp8",), "fp8"), (("w8a8", "int8", "gptq-8", "w8a16"), "int8"),
                        (("awq", "gptq", "w4a16", "int4", "bitsandbytes", "4bit"), "int4")):
        if any(word in said for word in words):
            return kind
    return None


def _warnings(launch: Launch, model: Architecture, card: Card, tokens: int) -> Iterator[str]:
    kind, slots = quantised(launch), launch.slots or DEFAULT_SLOTS
    if launch.uncounted:
        yield f"not reckoned with: {', '.join(launch.uncounted)}"
    if launch.data_parallel > 1:
        yield f"{launch.data_parallel} data-parallel engines take {launch.data_parallel * launch.gpus} cards; figures are of one engine"
    if kind == "fp8" and not card.has_fp8:
        yield f"{card.name} has no FP8 arithmetic: FP8 weights save memory and no time there; INT8 (W8A8) or AWQ is faster"
    if launch.quantization == "fp8" and "fp8" not in launch.model.lower():
        yield "FP8 made while loading: engines before December 2025 load all 16 bits first; an FP8 checkpoint loads faster and anywhere"
    if launch.kv_dtype.startswith("fp8") and not card.has_fp8:
        yield f"{card.name} has no FP8 arithmetic: an FP8 KV cache is converted at every step"
    if tokens and slots * TYPICAL_TOKENS > tokens:
        yield (f"{slots} slots of {TYPICAL_TOKENS} tokens want {slots * TYPICAL_TOKENS:,}, there are {tokens:,}: requests will be preempted; "
               f"{max(1, tokens // TYPICAL_TOKENS)} slots fit")
    elif tokens and slots * TYPICAL_TOKENS < 0.9 * tokens:
        yield (f"KV use stays below {slots * TYPICAL_TOKENS / tokens:.0%} with {slots} slots of {TYPICAL_TOKENS} tokens: a limit of 90 % never "
               "fires; go by the queue and the time to first token")


def _changes(launch: Launch, model: Architecture, card: Card) -> Iterator[str]:
    """Launches like this one that fit, each as the change that makes it so."""
    good = msgspec.structs.replace(launch, refused=())
    if launch.refused:
        good = msgspec.structs.replace(good, dtype="auto" if "fp8" in launch.dtype else launch.dtype,
                                       quantization=launch.quantization or ("fp8" if "fp8" in launch.dtype else None),
                                       kv_dtype="auto" if any("kv-cache" in why for why in launch.refused) else launch.kv_dtype)
        if _fit(good, model, card).verdict == "fits":
            yield "correct the flags as said"
            return
    context = launch.context or model.context
    if context > model.context:
        good = msgspec.structs.replace(good, context=model.context)
    for kind in _candidates(good, model):  # of each kind the smallest change
        words = next((words for words, changed in kind if _fit(changed, model, card).verdict == "fits"), None)
        if words is not None:
            yield words
    larger = next((c for c in sorted(CARDS, key=lambda c: c.memory_gib) if c.memory_gib > card.memory_gib
                   and _fit(good, model, c).verdict == "fits"), None)
    if larger is not None:
        yield f"a larger card: {larger.name}"


def _candidates(launch: Launch, model: Architecture) -> Iterator[list[tuple[str, Launch]]]:
    """Kinds of changes, each from the smallest to the largest."""
    replace = msgspec.structs.replace
    long = "--max-model-len" if launch.engine == "vllm" else "--context-length"
    parallel = "--tensor-parallel-size" if launch.engine == "vllm" else "--tp-size"
    shorter = [length for length in (65536, 32768, 16384, 8192, 4096) if length < (launch.context or model.context)]
    kv = "fp8" if launch.engine == "vllm" else "fp8_e5m2"
    if not launch.kv_dtype.startswith("fp"):
        yield [(f"--kv-cache-dtype {kv}", replace(launch, kv_dtype=kv)),
               *((f"--kv-cache-dtype {kv} {long} {length}", replace(launch, kv_dtype=kv, context=length)) for length in shorter)]
    yield [(f"{long} {length}", replace(launch, context=length)) for length in shorter]
    if quantised(launch) is None:
        yield [("--quantization fp8 (or an FP8 checkpoint)", replace(launch, quantization="fp8"))]
    if quantised(launch) in (None, "fp8", "int8"):
        yield [("a 4-bit checkpoint (AWQ, GPTQ)", replace(launch, quantization="awq", dtype="auto", model=model.name))]
    yield [(f"{parallel} {ways}", replace(launch, tensor_parallel=ways)) for ways in (2, 4, 8) if ways > launch.tensor_parallel]
