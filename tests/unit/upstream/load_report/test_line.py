"""Where questions go, and where a key may go with them. The wire itself: `tests/integration/test_load_reports.py`."""

import pytest

from pointsman.errors import Misconfigured
from pointsman.upstream.load_report.line import below, root_of, same_server


@pytest.mark.parametrize(("url", "path", "place"), [
    ("http://a:1/v1", "/metrics", "http://a:1/metrics"),
    ("http://a:1/v1", "/v1/loads?include=core", "http://a:1/v1/loads?include=core"),
    ("https://a/engines/x/v1", "/health", "https://a/engines/x/health"),
    ("http://a:1", "/metrics", "http://a:1/metrics"),
    ("http://a/openai", "/version", "http://a/openai/version"),
])
def test_an_engines_own_paths_are_beside_v1(url: str, path: str, place: str) -> None:
    assert below(root_of(url), path) == place


@pytest.mark.parametrize(("one", "other", "same"), [
    ("http://a/metrics", "http://a:80/v1", True), ("https://a:443/", "https://a/v1", True), ("http://a:2/m", "http://a:1/v1", False),
    ("https://a/m", "http://a/v1", False), ("http://A/m", "http://a/v1", True), ("http://b/m", "http://a/v1", False)])
def test_a_key_goes_to_its_own_server_only(one: str, other: str, same: bool) -> None:
    assert same_server(one, other) is same


def test_a_port_that_is_none_is_the_configurations_fault():
    with pytest.raises(Misconfigured):
        same_server("http://a:99999/m", "http://a/v1")
