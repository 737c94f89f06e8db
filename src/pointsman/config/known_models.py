"""What a model's name tells: what it is for, how large it is, and which names mean the same model.

Nothing here is asked of anybody. A name that tells nothing stays unknown (None): whoever shows a guess says so.
"""

from __future__ import annotations

import re
from typing import Final

CHAT: Final = "chat"
EMBEDDING: Final = "embedding"

_KINDS: Final = (
    # The first that matches wins: `bge-reranker` ranks, `nomic-embed-vision` embeds, `gpt-4o-mini-tts` speaks.
    ("reranking", r"rerank"),
    (EMBEDDING, r"embed|(?:^|[-_/])(?:bge|gte|e5|uae|jina-(?:v|clip)|all-minilm|minilm|mxbai|arctic-embed|voyage|colbert)(?:[-_:.]|$)"),
    ("speech to text", r"whisper|transcribe|(?:^|[-_/])(?:stt|parakeet|canary)|voxtral-mini-transcribe"),
    ("text to speech", r"(?:^|[-_/])tts|[-_]tts(?:[-_]|$)|orpheus|kokoro|playai"),
    ("audio", r"realtime|[-_]audio|native-audio|lyria|music"),
    ("images", r"dall-e|gpt-image|imagen|[-_]image(?:[-_]|$)|image-|stable-diffusion|sdxl|(?:^|[-_/])flux|recraft"),
    ("video", r"(?:^|[-_/])(?:sora|veo|kling)[-_0-9]"),
    ("moderation", r"moderation|guard(?:[-_:]|$)|safeguard|shieldgemma"),
    ("completion without chat", r"^(?:babbage|davinci)|turbo-instruct|[-_]fim(?:[-_]|$)"),
    ("another API than chat", r"deep-research|computer-use|^o\d+-pro|^gpt-[0-9.]+-pro|[-_]codex|^aqa$|robotics"),
)
_KIND_PATTERNS: Final = tuple((kind, re.compile(pattern)) for kind, pattern in _KINDS)

_EXPERTS = re.compile(r"(?<![a-z0-9.])(\d+)x(\d+(?:\.\d+)?)b(?![a-z0-9])")
_BILLIONS = re.compile(r"(?<![a-z0-9.])e?(\d+(?:\.\d+)?)b(?![a-z0-9])")
_MILLIONS = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)m(?![a-z0-9])")
_DATE = re.compile(r"[-@](?:20\d{6}|20\d\d-\d\d-\d\d)$")
_PART = re.compile(r"[a-z]+|\d+")
_FILE = re.compile(r"\.gguf$")

DEFAULT_SIZES: Final = {
    "llama3": 8, "llama3.1": 8, "llama3.2": 3, "llama3.3": 70, "qwen2.5": 7, "qwen2.5-coder": 7, "qwen3": 8, "gemma2": 9,
    "gemma3": 4, "mistral": 7, "mistral-nemo": 12, "mixtral": 46.7, "phi3": 3.8, "phi4": 14, "phi-4": 14, "tinyllama": 1.1,
    "smollm2": 1.7, "command-r": 35, "command-r-plus": 104, "deepseek-v3": 671, "kimi-k2": 1000,
}
"""Billions of parameters where the name leaves them out: what Ollama serves under the bare name, or the only size there is."""

_WORDS: Final = (
    (8.0, ("nano", "tiny")),
    (20.0, ("mini", "lite", "haiku", "flash", "small", "instant", "fast")),
    (60.0, ("medium", "sonnet", "plus", "terra")),
    (200.0, ("large", "opus", "ultra", "max", "pro", "astra")),
)
FAMILY_B: Final = 100.0
"""Where a model stands of which only a smaller sister is known: above all that call themselves small, below `large`."""
_SAYS_NOTHING = frozenset({"latest", "instruct", "it", "chat", "versatile", "instant", "hf"})


def bare(name: str) -> str:
    """The name without vendor or folder, file ending and `:latest`: `models/x/SmolLM2-135M.Q4.gguf` -> `SmolLM2-135M.Q4`."""
    last = re.split(r"[/\\]", name.rstrip("/\\"))[-1] or name
    return re.sub(_FILE, "", last).removesuffix(":latest")


def key_of(name: str) -> tuple[str, ...]:
    """Equal for names of one model: `Qwen/Qwen2.5-7B-Instruct`, `qwen2.5:7b`.

    Vendor, case, punctuation, a trailing date and words such as `instruct` do not count; sizes, versions, quantisation do.
    """
    plain = _DATE.sub("", bare(name).lower())
    parts = _PART.findall(plain)
    # "turbo" is a speed at Together (`...-Instruct-Turbo`) and a model at OpenAI (`gpt-4-turbo`).
    idle = _SAYS_NOTHING | ({"turbo"} if "instruct" in parts else frozenset())
    return tuple(part for part in parts if part not in idle) or tuple(parts)


def kind_of(name: str) -> str:
    """`chat`, `embedding`, or what else it is for, by its name; a name that tells nothing is taken for a chat model."""
    plain = bare(name).lower()
    return next((kind for kind, pattern in _KIND_PATTERNS if pattern.search(plain)), CHAT)


def size_of(name: str) -> float | None:
    """Billions of parameters, all experts counted, as the name says; None = it does not.

    >>> size_of("Qwen/Qwen3-30B-A3B"), size_of("llama3.2:3b"), size_of("mixtral-8x7b"), size_of("gpt-4o")
    (30.0, 3.0, 56.0, None)
    """
    plain = bare(name).lower()
    if match := _EXPERTS.search(plain):
        return float(match[1]) * float(match[2])
    if match := _BILLIONS.search(plain):
        return float(match[1])
    if match := _MILLIONS.search(plain):
        return float(match[1]) / 1000
    return float(DEFAULT_SIZES[plain]) if plain in DEFAULT_SIZES else None


def word_of(name: str) -> tuple[str, float] | None:
    """A word such as `mini` or `large` in the name, and about how many billions it stands for; None = no such word."""
    parts = _PART.findall(bare(name).lower())
    return next(((word, size) for size, words in _WORDS for word in words if word in parts), None)


def is_small_sister(name: str, plain: str) -> bool:
    """Is `name` the small one of the family that `plain` stands for: `gpt-5.6-mini` of `gpt-5.6`?"""
    parts = key_of(name)
    return any(word in parts and tuple(part for part in parts if part != word) == key_of(plain)
               for size, words in _WORDS if size < FAMILY_B for word in words)
