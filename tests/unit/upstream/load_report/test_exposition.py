"""Prometheus text, as engines and others write it."""

import pytest

from pointsman.upstream.load_report.exposition import Exposition

KV = "vllm:kv_cache_usage_perc"


def page(text: str, *names: str) -> Exposition:
    return Exposition(text.encode(), names or (KV,))


@pytest.mark.parametrize(("line", "value"), [
    (f'{KV}{{engine="0",model_name="m"}} 9.75e-06', 9.75e-06),
    (f"{KV} 0.5", 0.5),
    (f'{KV}{{model_name="a b {{c}}, d=\\"e\\""}} 0.5', 0.5),
    (f'{KV}{{engine="0"}} 0.5 1795293492633', 0.5),
    (f"{KV}{{}}\t0.5 ", 0.5),
    (f"{KV} 0.5\r", 0.5),
])
def test_a_sample_is_its_value_whatever_stands_around_it(line: str, value: float) -> None:
    assert page(f"# HELP {KV} x\n# TYPE {KV} gauge\n{line}\nother 3\n").sum(KV) == value


@pytest.mark.parametrize("line", [
    f"{KV} NaN", f"{KV} +Inf", f"{KV} -Inf", f"{KV} nan", f"{KV}", f"{KV} zero", f'{KV}{{engine="0" 0.5', f"# {KV} 0.5",
    f" {KV} 0.5", f"{KV}_total 0.5", f"{KV} 0.5 1 2", f"{KV} 1e999",
])
def test_what_is_no_figure_is_unknown_and_not_zero(line: str) -> None:
    assert page(line).sum(KV) is None
    assert page(line).largest(KV) is None


def test_labels_keep_their_escapes_meanings():
    sample = page(f'{KV}{{a="x\\ny",b="q\\"\\\\",c="tab\\t"}} 1').of(KV)[0]

    assert sample.labels == {"a": "x\ny", "b": 'q"\\', "c": "tab\\t"}


def test_the_newer_name_wins_and_several_series_are_summed_or_compared():
    text = 'new{engine="0"} 1\nnew{engine="1"} 3\nold 9\n'

    assert page(text, "new", "old").sum("new", "old") == 4
    assert page(text, "new", "old").largest("new", "old") == 3
    assert page("old 9\n", "new", "old").sum("new", "old") == 9


def test_prefixes_are_noticed_without_being_read():
    exposition = Exposition(b"vllm:x 1\npython_info 1\n", (), prefixes=("vllm:", "sglang:"))

    assert exposition.says("vllm:")
    assert not exposition.says("sglang:")
    assert list(exposition) == []


def test_bytes_that_are_no_text_are_skipped():
    assert page("").sum(KV) is None
    assert Exposition(b"\xff\xfe\x00\n" + KV.encode() + b" 0.5\n", (KV,)).sum(KV) == 0.5
