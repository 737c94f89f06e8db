"""llama.cpp: slots, metrics, properties; any of them may be turned off."""

import json
from pathlib import Path

from pointsman.upstream.load_report import llamacpp
from pointsman.upstream.load_report.parts import Parts

CAPTURES = Path(__file__).parents[3] / "fixtures" / "engines"


def slots(*busy: bool) -> bytes:
    return json.dumps([{"id": i, "n_ctx": 1024, "is_processing": b} for i, b in enumerate(busy)]).encode()


def test_the_capture_of_an_idle_server():
    parts = llamacpp.parse({llamacpp.METRICS: (CAPTURES / "llamacpp_metrics.txt").read_bytes()})

    assert parts == Parts(waiting=0, running=0, progress=157 + 3675 + 3661)


def test_slots_say_who_works_and_how_many_could():
    assert llamacpp.parse({llamacpp.SLOTS: slots(True, False, True, False)}) == Parts(running=2, slots=4)


def test_properties_say_how_many_slots_when_slots_are_off():
    props = json.dumps({"total_slots": 4, "build_info": "b4567-abcdef"}).encode()

    assert llamacpp.parse({llamacpp.PROPS: props}) == Parts(slots=4, version="b4567-abcdef")


def test_the_old_figure_of_the_kv_cache_is_read_where_it_is():
    assert llamacpp.parse({llamacpp.METRICS: b"llamacpp:kv_cache_usage_ratio 0.3\nllamacpp:predicted_tokens_seconds nan\n"}).kv_usage == 0.3


def test_strange_slots_say_nothing():
    for body in (b"[]", b"{}", b"[1,2]", b'[{"id":0}]', b"<html>", b"[" * 9000):
        assert llamacpp.parse({llamacpp.SLOTS: body}).running is None
