import json
from pathlib import Path

import pytest

from pointsman.errors import BadAnswer
from pointsman.upstream.models import ModelCard, read_models

CAPTURES = Path(__file__).parents[2] / "fixtures" / "engines"


@pytest.mark.parametrize(("card", "context"), [
    ({"max_model_len": 512}, 512),
    ({"meta": {"n_ctx": 1024, "n_ctx_train": 8192}}, 1024),
    ({"meta": {"n_ctx_train": 8192}}, 8192),
    ({"context_length": 131072, "top_provider": {"context_length": 65536}}, 131072),
    ({"top_provider": {"context_length": 65536}}, 65536),
    ({"context_window": 8192}, 8192),
    ({"meta": None}, None), ({"max_model_len": "512"}, None), ({"max_model_len": True}, None), ({}, None),
])
def test_the_context_is_found_where_each_engine_puts_it(card: dict[str, object], context: int | None) -> None:
    body = json.dumps({"object": "list", "data": [{"id": "m"} | card]}).encode()

    assert read_models("small/0", body) == (ModelCard("m", context),)


@pytest.mark.parametrize(("capture", "context"), [("llamacpp_models", 1024), ("sglang_models", 1024)])
def test_captured_lists_are_read(capture: str, context: int) -> None:
    body = (CAPTURES / f"{capture}.txt").read_bytes().partition(b"\n\n")[2]

    assert read_models("small/0", body) == (ModelCard("smollm2", context),)


def test_a_bare_list_is_read_and_strange_entries_are_skipped() -> None:
    assert read_models("small/0", b'[{"id":"a"},{"id":7},3]') == (ModelCard("a", None),)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"data":{}}', b"3", b"[" * 5000])
def test_what_is_no_list_of_models_is_refused(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        read_models("small/0", body)
