import email.utils
import json
import time

import msgspec
import pytest

from pointsman import errors
from pointsman.upstream.formats.openai_errors import from_status, in_band, retry_after


def of(status: int, body: bytes = b"", **headers: str) -> errors.UpstreamError:
    named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return from_status("small/0", status, named, body)


@pytest.mark.parametrize(("status", "body", "kind", "shown"), [
    (400, b'{"error":{"message":"m"}}', errors.RequestRefused, 400),
    (409, b"{}", errors.RequestRefused, 409),
    (413, b"<html><h1>413", errors.RequestRefused, 413),
    (422, b'{"detail":[{"loc":["body"]}]}', errors.RequestRefused, 422),
    (400, b"<html>bad", errors.UpstreamFailed, 502),
    (401, b'{"error":"Unauthorized"}', errors.CredentialRefused, 502),
    (402, b"", errors.CredentialRefused, 502),
    (403, b"<html>", errors.CredentialRefused, 502),
    (404, b'{"detail":"Not Found"}', errors.Misconfigured, 502),
    (405, b"", errors.Misconfigured, 502),
    (301, b"", errors.Misconfigured, 502),
    (307, b"", errors.Misconfigured, 502),
    (408, b"", errors.UpstreamFailed, 502),
    (425, b"", errors.UpstreamFailed, 502),
    (429, b"<html>", errors.RateLimited, 429),
    (500, b'{"error":{"message":"queue is full"}}', errors.UpstreamFailed, 502),
    (501, b'{"error":{"message":"no embeddings"}}', errors.UpstreamFailed, 502),
    (502, b"<!DOCTYPE html><p>nginx", errors.UpstreamFailed, 502),
    (503, b"", errors.UpstreamFailed, 503),
    (503, b'{"error":{"message":"Loading model","type":"unavailable_error"}}', errors.UpstreamFailed, 503),
    (503, b'{"object":"error","message":"The request queue is full."}', errors.UpstreamOverloaded, 503),
    (503, b'{"error":{"message":"The engine is currently busy and cannot accept new requests."}}',
     errors.UpstreamOverloaded, 503),
    (504, b"", errors.UpstreamFailed, 504),
    (529, b"", errors.UpstreamOverloaded, 503),
])
def test_a_status_says_whose_fault_it_is(status: int, body: bytes, kind: type, shown: int) -> None:
    error = of(status, body)

    assert type(error) is kind
    assert error.status == shown
    assert error.upstream_status == status
    assert error.sent


def test_timeouts_and_early_data_may_be_tried_elsewhere() -> None:
    assert all(of(status).retryable for status in (408, 425, 429, 500, 503))
    assert not of(400, b"{}").retryable


@pytest.mark.parametrize(("body", "error"), [
    (b'{"error":{"message":"m","type":"t","param":"p","code":400,"extra":[1]}}',
     {"message": "m", "type": "t", "param": "p", "code": 400, "extra": [1]}),
    (b'{"error":"Unauthorized"}', {"message": "Unauthorized", "type": None, "param": None, "code": None}),
    (b'{"error":"too long","error_type":"validation"}',
     {"message": "too long", "type": "validation", "param": None, "code": None}),
    (b'{"object":"error","message":"m","type":"BadRequestError","param":null,"code":400}',
     {"message": "m", "type": "BadRequestError", "param": None, "code": 400}),
    (b'{"detail":"Not Found"}', {"message": "Not Found", "type": None, "param": None, "code": None}),
    (b'{"error":{"code":7}}', {"message": '{"code":7}', "code": 7}),
    (b"plain words", {"message": "plain words", "type": None, "param": None, "code": None}),
])
def test_every_dialect_becomes_an_error_object(body: bytes, error: dict[str, object]) -> None:
    assert msgspec.json.decode(of(400, body).body or b"") == error


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"12", b"\xff\xfe", b"[" * 5000, b'{"error":null}'])
def test_a_refusal_without_words_is_still_one(body: bytes) -> None:
    assert isinstance(of(400, body), errors.RequestRefused)


def test_html_is_never_shown() -> None:
    error = of(502, b"<html><title>secret host</title>")

    assert error.body is None
    assert "secret" not in str(error)


@pytest.mark.parametrize(("text", "seconds"), [
    ("2", 2.0), ("0", 0.0), ("1.5", 1.5), ("3600", 3600.0), ("99999999", 86_400.0),
    ("9" * 400, 86_400.0),
    ("-1", None), ("soon", None), ("", None), ("inf", None), ("nan", None), ("²", None),
    ("Wed, 21 Oct 2015 07:28:00 GMT", None), ("Wed, 99 Oct 2015", None),
])
def test_retry_after_is_believed_within_reason(text: str, seconds: float | None) -> None:
    assert retry_after({b"retry-after": text.encode("utf-8")}) == seconds


def test_retry_after_may_be_a_date_or_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0)
    soon = email.utils.formatdate(1_800_000_020, usegmt=True)

    assert retry_after({b"retry-after": soon.encode()}) == 20
    assert retry_after({b"retry-after-ms": b"250", b"retry-after": b"9"}) == 0.25
    assert of(429, retry_after="7").retry_after_s == 7.0


@pytest.mark.parametrize(("message", "sick"), [
    ("image input is not supported - hint: if this is unexpected, you may need to provide the mmproj", False),
    ("7 validation errors:\n  {'type': 'literal_error'}", False), ("CUDA error: operation is not supported", True), ("boom", True),
])
def test_a_500_about_the_request_is_tried_elsewhere_and_says_nothing_against_the_endpoint(message: str, sick: bool) -> None:
    error = of(500, json.dumps({"error": {"message": message}}).encode())

    assert (type(error), error.retryable, error.sick) == (errors.UpstreamFailed, True, sick)


@pytest.mark.parametrize(("found", "kind"), [
    ({"message": "m", "code": 500}, errors.UpstreamFailed),
    ({"message": "m", "code": "429"}, errors.RateLimited),
    ({"message": "m", "code": "rate_limit_exceeded"}, errors.RateLimited),
    ({"message": "m", "type": "BadRequestError", "code": 400}, errors.RequestRefused),
    ({"message": "m", "type": "invalid_request_error", "code": "context_length_exceeded"}, errors.RequestRefused),
    ({"message": "m", "type": "overloaded_error"}, errors.UpstreamOverloaded),
    ({"message": "The request queue is full.", "type": "503", "object": "error"}, errors.UpstreamOverloaded),
    ({"message": "m", "type": "NotFoundError", "code": 404}, errors.Misconfigured),
    ({"message": "m", "type": "authentication_error"}, errors.CredentialRefused),
    ({"code": True}, errors.UpstreamFailed),
    ("boom", errors.UpstreamFailed),
    (["boom"], errors.UpstreamFailed),
])
def test_an_error_inside_a_200_is_read_by_its_code_or_type(found: object, kind: type) -> None:
    assert type(in_band("small/0", found)) is kind


def test_who_knows_best_says_whether_to_try_again() -> None:
    assert of(500, x_should_retry="false").should_retry is False
    assert of(500).should_retry is None
    assert of(429, x_should_retry="false").should_retry is False
    conflict = of(409, b'{"error":{"message":"m"}}', x_should_retry="true")
    assert (conflict.retryable, conflict.should_retry) == (True, True)
    assert not of(409, b'{"error":{"message":"m"}}').retryable
