"""Whatever an engine's pages hold, a report comes of it, and no figure in it is impossible."""

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from pointsman.upstream.load_report.dialects import DIALECTS
from pointsman.upstream.load_report.exposition import Exposition
from pointsman.upstream.load_report.parts import MOST_REQUESTS, Parts
from pointsman.upstream.load_report.recognition import Heard, by_metrics, by_models

NAMES = st.sampled_from(sorted((
    "vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc",
    "vllm:engine_sleep_state", "sglang:num_running_reqs", "sglang:token_usage", "tgi_queue_size",
    "llamacpp:requests_deferred", "trtllm_kv_cache_utilization", "other")))
TEXTS = st.text(max_size=12)
FLOATS = st.floats(allow_nan=True, allow_infinity=True)
VALUES = st.one_of(FLOATS.map(str), st.sampled_from(["NaN", "+Inf", "0x10", "1_000", "", "ten"]), TEXTS)


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


LABELS = st.dictionaries(st.sampled_from(["engine", "model_name", "tp_rank", "dp_rank", "sleep_state"]), TEXTS, max_size=4)
LINES = st.one_of(
    TEXTS, st.just("# HELP x y"),
    st.builds(lambda name, labels, value, stamp: name + "{" + ",".join(f'{k}="{escaped(v)}"' for k, v in labels.items()) + "} "
              + value + stamp, NAMES, LABELS, VALUES, st.sampled_from(["", " 1795293492633", " x"])))
PAGES = st.one_of(st.binary(max_size=300), st.lists(LINES, max_size=12).map(lambda lines: "\n".join(lines).encode("utf-8", "replace")))
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), FLOATS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(
        st.sampled_from(["loads", "num_running_reqs", "num_waiting_reqs", "token_usage", "num_reqs", "is_processing", "data",
                         "total_slots", "models", "context_length", "name", "version", "kvCacheStats", "usedNumBlocks",
                         "maxNumBlocks", "numQueuedRequests", "owned_by", "is_sleeping", "id"]), inner, max_size=4)),
    max_leaves=12).map(lambda value: json.dumps(value).encode())
ANSWERS = st.one_of(PAGES, JSON)


def check(parts: Parts) -> None:
    for count in (parts.waiting, parts.running, parts.slots):
        assert count is None or (isinstance(count, int) and 0 <= count <= MOST_REQUESTS)
    assert parts.queued_tokens is None or parts.queued_tokens >= 0
    assert parts.kv_usage is None or 0.0 <= parts.kv_usage <= 1.0
    assert parts.progress is None or not math.isnan(parts.progress)
    assert parts.version.isprintable()


@given(st.data())
def test_no_answer_of_an_engine_raises_or_yields_an_impossible_figure(data):
    for dialect in DIALECTS.values():
        paths = [path for choice in (*dialect.always, *dialect.once) for path in choice]
        answers = {path: data.draw(ANSWERS) for path in paths if data.draw(st.booleans())}
        check(dialect.parse(answers, "m"))


@given(ANSWERS)
def test_whoever_answers_so_is_recognised_or_not_and_nothing_raises(body):
    assert by_models(Heard(body)) in ("", *DIALECTS)
    assert by_metrics(Heard(body)) in ("", *DIALECTS)


@given(st.lists(st.tuples(NAMES, LABELS, FLOATS), max_size=20))
def test_what_is_written_as_the_format_says_is_read_back(samples):
    text = "".join(
        name + "{" + ",".join(f'{k}="{escaped(v)}"' for k, v in labels.items()) + f"}} {value!r}\n" for name, labels, value in samples)
    page = Exposition(text.encode("utf-8", "surrogatepass"), {name for name, _, _ in samples})

    for wanted in {name for name, _, _ in samples}:
        expected = [(value, labels) for name, labels, value in samples if name == wanted and math.isfinite(value)]
        read = [(sample.value, sample.labels) for sample in page.of(wanted)]
        assert read == expected
