"""What a model is made of, as far as memory goes: from its published `config.json`, or from one on disk."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Architecture(msgspec.Struct, frozen=True):
    """A decoder-only transformer."""

    name: str
    parameters: float
    """All of them, embeddings included."""
    layers: int
    kv_heads: int
    head_dim: int
    hidden: int
    intermediate: int
    vocabulary: int
    context: int
    """Longest that it was trained for, in tokens."""
    ties_embeddings: bool = False
    """Input embedding and output head are one matrix."""

    @property
    def embedding_parameters(self) -> float:
        """Embedding and head: quantisers leave them at 16 bits."""
        return self.vocabulary * self.hidden * (1 if self.ties_embeddings else 2)

    def kv_bytes_per_token(self, bytes_per_value: float) -> float:
        """Keys and values of one token over all layers."""
        return 2 * self.layers * self.kv_heads * self.head_dim * bytes_per_value


KNOWN = {model.name: model for model in (
    Architecture("Qwen/Qwen2.5-7B-Instruct", 7.616e9, 28, 4, 128, 3584, 18944, 152064, 32768),
    Architecture("Qwen/Qwen2.5-32B-Instruct", 32.764e9, 64, 8, 128, 5120, 27648, 152064, 32768),
    Architecture("Qwen/Qwen2.5-72B-Instruct", 72.706e9, 80, 8, 128, 8192, 29568, 152064, 32768),
    Architecture("meta-llama/Llama-3.2-3B-Instruct", 3.213e9, 28, 8, 128, 3072, 8192, 128256, 131072, ties_embeddings=True),
    Architecture("meta-llama/Llama-3.1-8B-Instruct", 8.030e9, 32, 8, 128, 4096, 14336, 128256, 131072),
    Architecture("meta-llama/Llama-3.3-70B-Instruct", 70.554e9, 80, 8, 128, 8192, 28672, 128256, 131072),
)}
"""The models of the published tier table, from their `config.json` on the hub."""


class UnknownModel(ValueError):
    """Neither in the table nor a directory with a `config.json`."""


class _Config(msgspec.Struct):
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    vocab_size: int
    intermediate_size: int
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    max_position_embeddings: int = 4096
    tie_word_embeddings: bool = False


def architecture_of(name: str) -> Architecture:
    """A model by its hub name (any quantised variant of it, too), or by a directory with its `config.json`.

    Raises UnknownModel, which lists what is known.
    """
    file = Path(name) / "config.json"
    if file.is_file():
        return _read(name, file)
    wanted = _plain(name)
    for known, model in KNOWN.items():
        if wanted.startswith(_plain(known)):
            return model
    raise UnknownModel(f"{name!r} is not in the table ({', '.join(KNOWN)}); name a directory with its config.json instead")


def _plain(name: str) -> str:
    """`RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic` begins as `meta-llama/Llama-3.3-70B-Instruct` does: makers aside."""
    return name.rpartition("/")[2].lower().replace("meta-", "").replace("_", "-")


def _read(name: str, file: Path) -> Architecture:
    try:
        config = msgspec.json.decode(file.read_bytes(), type=_Config)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise UnknownModel(f"{file}: {exc}; only decoder-only transformers with the usual names are understood") from exc
    heads = config.num_attention_heads
    kv_heads, head_dim = config.num_key_value_heads or heads, config.head_dim or config.hidden_size // heads
    embeddings = config.vocab_size * config.hidden_size * (1 if config.tie_word_embeddings else 2)
    # Per layer: query and output projections, keys and values, and the three matrices of a gated MLP.
    attention = 2 * config.hidden_size * head_dim * (heads + kv_heads)
    layer = attention + 3 * config.hidden_size * config.intermediate_size
    return Architecture(
        name, embeddings + config.num_hidden_layers * layer, config.num_hidden_layers, kv_heads, head_dim, config.hidden_size,
        config.intermediate_size, config.vocab_size, config.max_position_embeddings, config.tie_word_embeddings)
