"""Ollama tells what is loaded and nothing about a queue."""

from pointsman.upstream.load_report import ollama
from pointsman.upstream.load_report.parts import Parts

LOADED = b'{"models":[{"name":"llama3:latest","model":"llama3:latest","size":1,"size_vram":1,"context_length":4096}]}'


def test_the_loaded_context_counts_and_the_load_is_unknown():
    assert ollama.parse({ollama.LOADED: LOADED, ollama.VERSION: b'{"version":"0.12.6"}'}, "llama3") == Parts(
        version="0.12.6", context=4096)


def test_a_model_that_is_not_loaded_is_neither_asleep_nor_gone():
    assert ollama.parse({ollama.LOADED: LOADED}, "mistral") == Parts()
    assert ollama.parse({ollama.LOADED: b'{"models":[]}'}, "llama3").is_awake is None
