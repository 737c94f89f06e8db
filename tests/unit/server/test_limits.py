"""What a client may ask of the way itself, and how it leaves the body."""

import pytest

from pointsman.core.request import Alternative, Kind, Limits
from pointsman.core.splice import spliced
from pointsman.errors import MalformedBody, MalformedHttp
from pointsman.server.body import parse
from pointsman.server.limits import MAX_TAGS, with_headers


def limits(fields: bytes):
    return parse(b'{"model":"m","messages":[]%s}' % fields, Kind.CHAT).limits


@pytest.mark.parametrize(("fields", "asked"), [
    (b"", Limits()),
    (b',"num_retries":0', Limits(max_sent=1)),
    (b',"num_retries":99999999999999999999', Limits(max_sent=101)),
    (b',"timeout":2,"disable_fallbacks":true', Limits(deadline_s=2.0, stays=True)),
    (b',"stream_timeout":3.5', Limits(first_content_s=3.5)),
    (b',"timeout":null,"num_retries":null,"models":null,"fallbacks":null,"disable_fallbacks":null,"stream_timeout":null,"tags":null',
     Limits()),
    (b',"fallbacks":["a",{"model":"b"},{"m":["c"]}],"models":["d"]', Limits(alternatives=(
        Alternative("models", "d"), Alternative("fallbacks[0]", "a"), Alternative("fallbacks[1]", "b"),
        Alternative("fallbacks[2]", "c")))),
])
def test_fields_become_limits(fields, asked):
    assert limits(fields) == asked


@pytest.mark.parametrize(("body", "sent"), [
    (b'{"timeout":1,"model":"m","messages":[]}', b'{"model":"X","messages":[]}'),
    (b'{ "timeout" : 1 , "models" : [] , "model":"m","messages":[]}', b'{ "model":"X","messages":[]}'),
    (b'{"model":"m" , "timeout":1,\n "x":[1 , 2],"messages":[] , "fallbacks":[] }', b'{"model":"X",\n "x":[1 , 2],"messages":[] }'),
    (b'{"model":"m","messages":[],"stream":true,"timeout":1}',
     b'{"model":"X","messages":[],"stream":true,"stream_options":{"include_usage":true}}'),
])
def test_what_is_for_us_leaves_with_one_comma(body, sent):
    assert spliced(parse(body, Kind.CHAT), "X") == sent


@pytest.mark.parametrize(("body", "sent"), [
    (b'{"models":["a","b"],"messages":[]}', b'{"model":"X","messages":[]}'),
    (b'{"messages":[],"models":["a"],"model": null }', b'{"messages":[],"model": "X" }'),
    (b' { "messages" : [] , "models":["a"]}', b' { "model":"X","messages" : []}'),
    (b'{"messages":[{"role":"user","content":"\\ud83d"}],"models":["a"]}', b'{"model":"X","messages":[{"role":"user","content":"\\ud83d"}]}'),
])
def test_without_a_model_the_first_of_models_is_it(body, sent):
    request = parse(body, Kind.CHAT)

    assert (request.model, request.limits.alternatives[0]) == ("a", Alternative("models", "a"))
    assert spliced(request, "X") == sent


@pytest.mark.parametrize("body", [
    b'{"messages":[]}', b'{"messages":[],"models":[]}', b'{"messages":[],"models":null}', b'{"model":7,"models":["a"],"messages":[]}',
    b'{"model":null,"messages":[],"models":["a"', b'{"model":null,"models":["a"]}}', b'{"metadata":{"model":null},"messages":[]}',
])
def test_without_either_the_missing_model_is_told(body):
    with pytest.raises(MalformedBody) as caught:
        parse(body, Kind.CHAT)

    assert caught.value.param in ("model", "messages")


def test_models_that_are_no_names_are_told_with_their_place():
    with pytest.raises(MalformedBody) as caught:
        parse(b'{"messages":[],"models":["a",7]}', Kind.CHAT)

    assert caught.value.param == "models[1]"


def test_of_field_and_header_the_stricter_counts():
    request = parse(b'{"model":"m","messages":[],"timeout":5,"num_retries":0}', Kind.CHAT)

    asked = with_headers(request, {b"x-litellm-timeout": b"9", b"x-litellm-num-retries": b"2"}).limits
    assert (asked.deadline_s, asked.max_sent) == (5, 1)
    assert with_headers(request, {b"x-litellm-timeout": b" 1.5 "}).limits.deadline_s == 1.5
    assert with_headers(request, {b"x-request-timeout-ms": b"800"}).limits.deadline_s == 0.8
    assert with_headers(request, {b"x-request-timeout-ms": b"800", b"x-litellm-timeout": b"0.5"}).limits.deadline_s == 0.5
    request = parse(b'{"model":"m","messages":[],"stream_timeout":5}', Kind.CHAT)
    assert with_headers(request, {b"x-litellm-stream-timeout": b"4"}).limits.first_content_s == 4
    assert with_headers(request, {b"x-litellm-stream-timeout": b"6"}).limits.first_content_s == 5


def test_tags_of_body_and_header_join_up_to_a_bound():
    request = parse(b'{"model":"m","messages":[],"metadata":{"tags":["a",1e999,"b"]}}', Kind.CHAT)

    assert with_headers(request, {b"x-litellm-tags": b"c,, d ,"}).tags == ("a", "b", "c", "d")
    assert len(with_headers(request, {b"x-litellm-tags": b"t," * 500}).tags) == MAX_TAGS
    request = parse(b'{"tags":["c"],"model":"m","messages":[],"metadata":{"tags":["a"]}}', Kind.CHAT)
    assert with_headers(request, {b"x-litellm-tags": b"d"}).tags == ("a", "c", "d")
    assert spliced(request, "X") == b'{"model":"X","messages":[],"metadata":{"tags":["a"]}}'
    assert len(parse(b'{"model":"m","messages":[],"tags":[%s"t"]}' % (b'"t",' * 500), Kind.CHAT).tags) == MAX_TAGS


@pytest.mark.parametrize("value", [b"", b"inf", b"0", b"-1", b"soon"])
def test_a_header_that_is_no_limit_is_refused_by_name(value):
    with pytest.raises(MalformedHttp) as caught:
        with_headers(parse(b'{"model":"m","messages":[]}', Kind.CHAT), {b"x-litellm-timeout": value})

    assert caught.value.param == "x-litellm-timeout"
