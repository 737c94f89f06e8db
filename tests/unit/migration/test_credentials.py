"""Keys become references, and none of them shows."""

import pytest

from pointsman.migration.credentials import Credentials, is_private, references_in, variable_like
from pointsman.migration.draft import Draft
from pointsman.migration.findings import Findings


def test_the_same_key_has_the_same_variable_and_another_key_another():
    draft, findings = Draft(), Findings()
    credentials = Credentials(draft, findings, frozenset({"A_KEY"}))

    given = [credentials.reference(key, (key,), "A_KEY", "a key") for key in ("one", "two", "one", "os.environ/B_KEY")]

    assert given == ["${A_KEY_2}", "${A_KEY_3}", "${A_KEY_2}", "os.environ/B_KEY"]
    assert set(draft.variables) == {"A_KEY_2", "A_KEY_3", "B_KEY"}
    assert {finding.place: finding.fate for finding in findings.found} == {"one": "changed", "two": "changed", "os.environ/B_KEY": "carried"}


@pytest.mark.parametrize(("url", "key", "is_kept"), [
    ("http://10.0.0.1/v1", "none", False), ("http://vllm:8000/v1", "fake-key", False), ("http://localhost/v1", "", False),
    ("http://10.0.0.1/v1", "real-one", True), ("https://api.example.com/v1", "none", True),
])
def test_a_placeholder_is_dropped_at_a_server_of_ones_own_only(url, key, is_kept):
    given = Credentials(Draft(), Findings()).for_endpoint(key, ("x",), url, None, "a key")

    assert (given is not None) == is_kept


def test_a_key_that_is_no_text_is_dropped():
    findings = Findings()

    assert Credentials(Draft(), findings).reference(7, ("x",), "A", "a key") is None
    assert findings.found[0].fate == "dropped"


@pytest.mark.parametrize(("host", "private"), [
    ("127.0.0.1", True), ("192.168.1.1", True), ("vllm", True), ("a.internal", True), ("[::1]", True), ("8.8.8.8", False), ("api.openai.com", False)])
def test_own_servers_are_told_from_others(host, private):
    assert is_private(f"http://{host}:80/v1") == private


def test_references_are_found_anywhere():
    assert references_in({"a": ["os.environ/X", {"b": "os.environ/Y"}], "c": "${Z}", "d": 1}) == {"X", "Y"}


def test_variables_are_named_after_hosts():
    assert (variable_like("my-host.example"), variable_like("10.0.0.1")) == ("MY_HOST_EXAMPLE_API_KEY", "_10_0_0_1_API_KEY")
