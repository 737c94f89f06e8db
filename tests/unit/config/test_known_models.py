"""What names tell, and what they do not."""

import pytest

from pointsman.config.known_models import bare, is_small_sister, key_of, kind_of, size_of, word_of


@pytest.mark.parametrize(("name", "billions"), [
    ("Qwen2.5-7B", 7), ("Qwen/Qwen2.5-7B-Instruct-AWQ", 7), ("llama3.2:3b", 3), ("meta-llama/Llama-3.3-70B-Instruct-Turbo", 70),
    ("qwen2.5:0.5b", 0.5), ("mixtral-8x7b-32768", 56), ("Qwen3-30B-A3B", 30), ("SmolLM2-135M.Q4_1.gguf", 0.135),
    ("gemma-3n-e4b-it", 4), ("openai/gpt-oss-120b", 120), ("llama-3.1-8b-instant", 8), ("/models/tiny-1.1b.gguf", 1.1),
    ("llama3.2:latest", 3), ("phi-4", 14),
])
def test_the_size_is_read_from_the_name(name: str, billions: float) -> None:
    assert size_of(name) == pytest.approx(billions)


@pytest.mark.parametrize("name", ["gpt-4o-mini", "claude-opus-5", "gemini-2.5-pro", "my-model", "gpt-3.5-turbo", "llama4", "b", "x128k", ""])
def test_a_size_that_the_name_does_not_tell_stays_unknown(name: str) -> None:
    assert size_of(name) is None


@pytest.mark.parametrize(("name", "kind"), [
    ("gpt-4o-mini", "chat"), ("llama3.2:3b", "chat"), ("qwen2.5vl:7b", "chat"), ("anything", "chat"), ("deepseek-coder", "chat"),
    ("text-embedding-3-small", "embedding"), ("nomic-embed-text:latest", "embedding"), ("BAAI/bge-m3", "embedding"),
    ("sentence-transformers/all-MiniLM-L6-v2", "embedding"), ("intfloat/e5-large-v2", "embedding"),
    ("whisper-1", "speech to text"), ("whisper-large-v3-turbo", "speech to text"), ("gpt-4o-transcribe", "speech to text"),
    ("tts-1-hd", "text to speech"), ("gpt-4o-mini-tts", "text to speech"), ("dall-e-3", "images"), ("gpt-image-1", "images"),
    ("black-forest-labs/FLUX.1-schnell", "images"), ("gpt-4o-realtime-preview", "audio"), ("omni-moderation-latest", "moderation"),
    ("meta-llama/Llama-Guard-4-12B", "moderation"), ("BAAI/bge-reranker-v2", "reranking"), ("babbage-002", "completion without chat"),
    ("gpt-3.5-turbo-instruct", "completion without chat"), ("o1-pro", "another API than chat"), ("sora-2", "video"),
])
def test_the_kind_is_read_from_the_name(name: str, kind: str) -> None:
    assert kind_of(name) == kind


@pytest.mark.parametrize(("one", "other"), [
    ("Qwen/Qwen2.5-7B-Instruct", "qwen2.5:7b"), ("meta-llama/Llama-3.2-3B-Instruct", "llama3.2:3b"),
    ("gpt-4o-2024-08-06", "gpt-4o"), ("anthropic/claude-haiku-4.5", "claude-haiku-4-5-20251001"), ("gemma3:latest", "gemma3"),
    ("meta-llama/Llama-3.3-70B-Instruct-Turbo", "llama-3.3-70b-versatile"), ("/models/phi-4.gguf", "phi-4"),
])
def test_names_of_one_model_have_one_key(one: str, other: str) -> None:
    assert key_of(one) == key_of(other)


@pytest.mark.parametrize(("one", "other"), [
    ("gpt-4", "gpt-4-turbo"), ("gemma-3-4b", "gemma-34b"), ("gpt-4o", "gpt-4o-mini"), ("qwen2.5-7b", "qwen2.5-7b-awq"),
    ("llama3.2:3b", "llama3.2:1b"), ("model:free", "model"), ("gpt-5", "gpt-5.1"),
])
def test_different_models_keep_different_keys(one: str, other: str) -> None:
    assert key_of(one) != key_of(other)


def test_a_word_in_the_name_stands_for_a_size_and_parts_of_words_do_not() -> None:
    assert word_of("ministral-small-latest") == ("small", 20.0)
    assert word_of("mistral-large-latest") == ("large", 200.0)
    assert word_of("maximum-prose") is None
    assert word_of("gpt-9-nano") == ("nano", 8.0)  # below a `mini`


@pytest.mark.parametrize(("name", "plain", "is_sister"), [
    ("gpt-9-mini", "gpt-9", True), ("openai/gpt-9-mini-2030-01-01", "gpt-9", True), ("claude-9-haiku", "claude-9", True),
    ("gpt-9", "gpt-9", False), ("gpt-9-mini", "gpt-8", False), ("gpt-9-large", "gpt-9", False), ("gpt-9-minimal", "gpt-9", False),
])
def test_a_small_sister_has_the_plain_name_and_a_small_word(name: str, plain: str, is_sister: bool) -> None:
    assert is_small_sister(name, plain) is is_sister


def test_the_bare_name_is_without_vendor_folder_and_ending() -> None:
    assert bare("/srv/models/SmolLM2-135M.Q4_1.gguf") == "SmolLM2-135M.Q4_1"
    assert bare("C:\\models\\a.gguf") == "a"
    assert bare("org/name:latest") == "name"
