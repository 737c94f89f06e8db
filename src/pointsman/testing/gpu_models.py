"""How long a step takes: GPUs and models of the published tier table, as three constants.

A step of a continuously batching engine takes `a + b · prefill tokens + c · running sequences` seconds.

- `a` reads the weights once: parameters × bytes per weight ÷ (memory bandwidth × the share of it that decoding
  reaches, 0.72-0.80). 7B FP8 on an RTX 4090: 7.6 GB ÷ (1008 GB/s × 0.72) = 10.5 ms, so a lone stream gets about 90
  tokens/s; 32B on an A100: 21 ms; 70B on an H100: 28 ms.
- `b` computes one prompt token: 2 × parameters FLOP ÷ the FLOP/s that prefill reaches (a quarter to a half of the
  data sheet): 0.20 ms, 0.42 ms and 0.22 ms for the three.
- `c` is what is left so that with every slot taken and 500 tokens in, 200 out per request, the engine generates the
  published tokens/s (midpoints of 800-1200, 400-600, 300-500): `c = 1/tokens_per_s - 2.5 b - a/slots`.

`front_s` stands for what happens outside the batch (network, tokenising, scheduling). It is chosen, not derived:
together they put the first token of a lone short request at 60-150, 150-300 and 250-500 ms.

KV room is `share × memory - weights - 0.5 GiB`, over the model's bytes per token. The 70B on one H100 is left with
about 33,000 tokens even with FP8 KV: there is no margin, and the simulator runs out of KV as the real one does.
"""

from __future__ import annotations

import re

import msgspec

GIB = 2**30
PREFILL_PER_OUTPUT = 500 / 200
"""The published traffic: 500 tokens in, 200 out."""


class Gpu(msgspec.Struct, frozen=True):
    """A GPU row of the tier table: rental price, published throughput, and its physics."""

    name: str
    usd_per_hour: float
    tokens_per_s: float
    """Midpoint of the published range."""
    slots: int
    memory_gib: float
    memory_share: float
    bandwidth: float
    """Bytes/s that decoding reaches."""
    flops: float
    """FLOP/s that prefill reaches."""
    front_s: float


class Model(msgspec.Struct, frozen=True):
    """A model: its size, and what one token of context occupies."""

    name: str
    parameters: float
    kv_bytes_per_token: int
    bytes_per_weight: float = 1.0
    """1 = FP8 or INT8 weights, as the published launch recipes use."""
    context: int = 32768
    dimensions: int = 0
    """Length of its vectors; 0 = it writes text and does not embed."""


class Timing(msgspec.Struct, frozen=True):
    """Seconds of a step: `a + b · prefill tokens + c · running sequences`; `front_s` before a request is queued."""

    a: float
    b: float
    c: float
    front_s: float = 0.0

    def step_s(self, prefill_tokens: int, running: int) -> float:
        return self.a + self.b * prefill_tokens + self.c * running

    def slowed(self, times: float) -> Timing:
        """Every step takes so many times as long: a throttled GPU, a noisy neighbour."""
        return Timing(self.a * times, self.b * times, self.c * times, self.front_s)


class Tier(msgspec.Struct, frozen=True):
    """A tier of the default fleet."""

    name: str
    model: str
    gpu: str
    port: int


GPUS = {gpu.name: gpu for gpu in (
    Gpu("RTX 4090", 0.51, 1000, 256, 24.0, 0.85, 1008e9 * 0.72, 76e12, 0.050),
    Gpu("A100", 1.43, 500, 128, 80.0, 0.90, 1935e9 * 0.80, 156e12, 0.120),
    Gpu("H100", 2.40, 400, 64, 79.65, 0.92, 3350e9 * 0.76, 640e12, 0.230),
    # No throughput is published for the H200: the H100's, scaled by memory bandwidth.
    Gpu("H200", 4.50, 570, 64, 141.0, 0.92, 4800e9 * 0.76, 640e12, 0.230),
)}

MODELS = {model.name: model for model in (
    Model("Qwen/Qwen2.5-7B-Instruct", 7.6e9, 56 * 1024),
    Model("meta-llama/Llama-3.2-3B-Instruct", 3.2e9, 112 * 1024),
    Model("Qwen/Qwen2.5-32B-Instruct", 32.8e9, 256 * 1024),
    Model("meta-llama/Llama-3.1-8B-Instruct", 8.0e9, 128 * 1024),
    # FP8 KV for the largest two: with 16 bits a context of 32,768 would not start on one H100. Their embeddings and
    # heads stay at 16 bits: 3 % more than a byte per parameter.
    Model("meta-llama/Llama-3.3-70B-Instruct", 70.6e9, 160 * 1024, 1.03),
    Model("Qwen/Qwen2.5-72B-Instruct", 72.7e9, 160 * 1024, 1.03),
    # An encoder keeps nothing of its input: the bytes only bound how much is under way at once.
    Model("BAAI/bge-base-en-v1.5", 0.11e9, 36 * 1024, 2.0, 512, 768),
)}

TIERS = (
    Tier("small", "Qwen/Qwen2.5-7B-Instruct", "RTX 4090", 8001),
    Tier("medium", "Qwen/Qwen2.5-32B-Instruct", "A100", 8002),
    Tier("large", "meta-llama/Llama-3.3-70B-Instruct", "H100", 8003),
)


def gpu_named(name: str) -> Gpu:
    """The GPU row of that name, ignoring case. KeyError with a sentence: there is none."""
    for known, gpu in GPUS.items():
        if known.lower() == name.lower():
            return gpu
    raise KeyError(f"no GPU {name!r} in the table; known: {', '.join(GPUS)}")


def model_named(name: str) -> Model:
    """The model of that name; an unknown one is sized by the number before its B (`x-13b`), or as a 7B."""
    if name in MODELS:
        return MODELS[name]
    size = re.search(r"(?<![\w.])(\d+(?:\.\d+)?)b(?![a-z])", name, re.IGNORECASE)
    parameters = float(size[1]) * 1e9 if size else 7.6e9
    nearest = min((m for m in MODELS.values() if not m.dimensions), key=lambda m: abs(m.parameters - parameters))
    return Model(name, parameters, nearest.kv_bytes_per_token)


def timing(gpu: Gpu, model: Model) -> Timing:
    """The three constants of the module's docstring, for any pair."""
    a = model.parameters * model.bytes_per_weight / gpu.bandwidth
    b = 2 * model.parameters / gpu.flops
    # The published tokens/s are those of text; and however they come out, one more sequence is never free.
    if model.dimensions:
        return Timing(a, b, 0.1 * a / gpu.slots, gpu.front_s)
    c = max(1 / gpu.tokens_per_s - PREFILL_PER_OUTPUT * b - a / gpu.slots, 0.1 * a / gpu.slots)
    return Timing(a, b, c, gpu.front_s)


def kv_tokens(gpu: Gpu, model: Model) -> int:
    """Tokens of context that fit beside the weights; at least one full context, however tight the GPU."""
    room = gpu.memory_gib * gpu.memory_share * GIB - model.parameters * model.bytes_per_weight - 0.5 * GIB
    return max(int(room / model.kv_bytes_per_token), model.context)
