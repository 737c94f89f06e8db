"""Errors in Anthropic's shape."""

import pytest

from pointsman.errors import (
    BodyTooLarge,
    Draining,
    Forbidden,
    MalformedBody,
    NoEndpoint,
    PointsmanError,
    RateLimited,
    RequestRefused,
    StreamStalled,
    Unauthorized,
    UnknownModel,
    UnsupportedField,
    UpstreamFailed,
)
from pointsman.server.anthropic_problems import anthropic_error, is_anthropic


@pytest.mark.parametrize(("error", "kind"), [
    (MalformedBody("x", param="messages.0.role"), "invalid_request_error"), (Unauthorized("x"), "authentication_error"),
    (Forbidden("x"), "permission_error"), (UnknownModel("x"), "not_found_error"), (BodyTooLarge("x"), "request_too_large"),
    (RateLimited("x"), "rate_limit_error"), (UpstreamFailed("x"), "api_error"), (PointsmanError("x"), "api_error"),
    (NoEndpoint("small"), "overloaded_error"), (Draining(), "overloaded_error"), (StreamStalled("x"), "timeout_error"),
])
def test_types_follow_the_status(error, kind):
    described = anthropic_error(error)["error"]

    assert described["type"] == kind
    assert described["message"] == str(error)
    assert described["code"] == error.code
    assert described.get("param") == error.param


def test_the_engines_own_objection_is_passed_on():
    refused = RequestRefused("endpoint small/0 answered 400: too long", upstream_status=400,
                             body=b'{"message":"too long","type":"BadRequestError","param":null,"code":400}')

    assert anthropic_error(refused, "mine") == {
        "type": "error", "error": {"type": "invalid_request_error", "message": "too long", "code": 400}, "request_id": "mine"}


def test_the_record_is_the_request_id_when_the_client_has_none():
    error = UpstreamFailed("x", upstream_status=500)
    error.record_id = "r1"

    found = anthropic_error(error)

    assert found["request_id"] == "r1"
    assert found["error"]["record_id"] == "r1"
    assert found["error"]["upstream_status"] == 500


def test_a_runner_that_asks_for_a_thread_learns_to_do_without():
    assert anthropic_error(UnsupportedField("thread: no", param="thread"))["error"]["details"] == {
        "error_code": "thread_unsupported_request", "unsupported": ["thread"]}
    assert "details" not in anthropic_error(UnsupportedField("container: no", param="container"))["error"]


@pytest.mark.parametrize(("path", "answer"), [
    ("/v1/messages", True), ("/v1/messages/count_tokens", True), ("/v1/messages/batches", True), ("/v1/messagesx", False),
    ("/v1/models", False)])
def test_the_path_says_who_speaks(path, answer):
    assert is_anthropic(path) is answer
