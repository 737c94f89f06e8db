"""Text Generation Inference."""

from pointsman.upstream.load_report import tgi
from pointsman.upstream.load_report.parts import Parts


def test_queue_and_batch_are_read_and_the_kv_cache_is_unknown():
    text = b"# TYPE tgi_queue_size gauge\ntgi_queue_size 4\n# TYPE tgi_batch_current_size gauge\ntgi_batch_current_size 12\ntgi_request_count 7\n"
    info = b'{"model_id":"m","max_concurrent_requests":128,"version":"3.3.4"}'

    assert tgi.parse({tgi.METRICS: text, tgi.INFO: info}) == Parts(waiting=4, running=12, version="3.3.4", progress=7)


def test_a_page_before_the_first_request_is_unknown():
    assert tgi.parse({tgi.METRICS: b""}) == Parts()
