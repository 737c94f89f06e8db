"""Errors as a client sees them."""

import json

import pytest

from pointsman import errors
from pointsman.server.problems import body_of, headers_of, terminal_frame


def test_every_error_is_openai_shaped_with_a_sentence():
    said = json.loads(body_of(errors.UnknownModel("autp", ("auto",))))["error"]

    assert said == {"message": "model 'autp' does not exist here; did you mean 'auto'?", "type": "invalid_request_error",
                    "param": "model", "code": "model_not_found"}


@pytest.mark.parametrize(("error", "status"), [
    (errors.UpstreamFailed("x", upstream_status=500), 502),
    (errors.UpstreamFailed("x", upstream_status=503), 503),
    (errors.UpstreamFailed("x", upstream_status=504), 504),
    (errors.CredentialRefused("x", upstream_status=401), 502),
    (errors.RequestRefused("x", upstream_status=422), 422),
    (errors.RateLimited("x", upstream_status=429), 429),
    (errors.ConnectFailed("x", sent=False), 503),
    (errors.FirstTokenTimeout("x"), 504),
])
def test_4xx_about_the_request_and_429_stay_and_the_rest_is_a_gateways(error, status):
    assert error.client_status == status


def test_an_upstream_failure_says_what_the_upstream_said():
    said = json.loads(body_of(errors.UpstreamFailed("broke", upstream_status=500)))["error"]

    assert (said["upstream_status"], said["code"]) == (500, "upstream_failed")


def test_the_upstreams_own_error_is_kept_when_the_request_was_at_fault():
    own = b'{"message":"too long","type":"BadRequestError","param":"input_text","code":400}'

    assert json.loads(body_of(errors.RequestRefused("x", upstream_status=400, body=own)))["error"] == json.loads(own)


@pytest.mark.parametrize("body", [b"not json", b"[1]", b'"text"'])
def test_an_unusable_error_of_the_upstream_becomes_ours(body):
    assert json.loads(body_of(errors.RequestRefused("too long", upstream_status=400, body=body)))["error"]["message"] == "too long"


@pytest.mark.parametrize(("error", "expected"), [
    (errors.RateLimited("x", retry_after_s=2.1), b"3"),
    (errors.RateLimited("x"), b"1"),
    (errors.NoEndpoint("small", ejected=1, next_try_s=0.2), b"1"),
    (errors.Draining(), b"1"),
])
def test_429_and_503_always_say_when(error, expected):
    assert dict(headers_of(error))[b"retry-after"] == expected


def test_a_pointless_retry_is_said_to_be_pointless():
    assert dict(headers_of(errors.UnknownModel("x")))[b"x-should-retry"] == b"false"
    assert b"x-should-retry" not in dict(headers_of(errors.UpstreamFailed("x")))


@pytest.mark.parametrize("is_chat", [True, False])
def test_the_terminal_frame_is_a_chunk_with_an_error(is_chat):
    error = errors.StreamStalled("nothing for 30 s")
    error.record_id = "r1"
    frame = json.loads(terminal_frame(error, is_chat=is_chat))

    assert frame["choices"][0]["finish_reason"] == "error"
    assert frame["error"]["record_id"] == "r1"
    assert frame["object"] == ("chat.completion.chunk" if is_chat else "text_completion")


def test_the_terminal_frame_belongs_to_the_stream_that_it_ends():
    """Clients that sort chunks by id would take it for a second answer."""
    error = errors.StreamStalled("nothing for 30 s")
    error.record_id = "r1"
    first = b'{"id":"chatcmpl-theirs","object":"chat.completion.chunk","created":7,"model":"m","choices":[{"index":0}]}'

    frame = json.loads(terminal_frame(error, is_chat=True, first=first))
    assert (frame["id"], frame["created"], frame["model"]) == ("chatcmpl-theirs", 7, "m")
    assert frame["choices"][0]["finish_reason"] == "error"
    for odd in (b"", b"[1]", b'{"id":5,"created":"x"}', b"{", b"\xff"):
        assert json.loads(terminal_frame(error, is_chat=True, first=odd))["id"] == "chatcmpl-r1"


def test_a_401_names_the_scheme():
    assert dict(headers_of(errors.Unauthorized("x")))[b"www-authenticate"] == b"Bearer"
