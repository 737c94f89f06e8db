"""TensorRT-LLM's two pages."""

import json

from pointsman.upstream.load_report import trtllm
from pointsman.upstream.load_report.parts import Parts


def test_the_prometheus_page():
    text = b"trtllm_num_requests_running 3.0\ntrtllm_num_requests_waiting 2.0\ntrtllm_kv_cache_utilization 0.5\ntrtllm_generation_tokens_total 9\n"

    assert trtllm.parse({trtllm.PAGE: text}) == Parts(waiting=2, running=3, kv_usage=0.5, progress=9)


def test_the_latest_of_the_iterations():
    rounds = [{"numActiveRequests": 9}, {"numActiveRequests": 3, "numQueuedRequests": 1, "maxNumActiveRequests": 64,
                                         "kvCacheStats": {"usedNumBlocks": 25, "maxNumBlocks": 100}}]

    assert trtllm.parse({trtllm.METRICS: json.dumps(rounds).encode()}) == Parts(waiting=1, running=3, kv_usage=0.25, slots=64)


def test_no_iteration_since_is_unknown_and_not_idle():
    assert trtllm.parse({trtllm.METRICS: b"[]", trtllm.VERSION: b'{"version":"1.1.0"}'}) == Parts(version="1.1.0")
    assert trtllm.parse({trtllm.METRICS: b'[{"kvCacheStats":{"usedNumBlocks":1,"maxNumBlocks":0}}]'}) == Parts()
