"""What a client may ask of the way itself, and how it leaves the body."""

import pytest

from pointsman.core.request import Alternative, Kind, Limits
from pointsman.core.splice import spliced
from pointsman.errors import MalformedHttp
from pointsman.server.body import parse
from pointsman.server.limits import MAX_TAGS, with_headers


def limits(fields: bytes):
    return parse(b'{"model":"m","messages":[]%s}' % fields, Kind.CHAT).limits


@pytest.mark.parametrize(("fields", "asked"), [
    (b"", Limits()),
    (b',"num_retries":0', Limits(max_sent=1)),
    (b',"num_retries":99999999999999999999', Limits(max_sent=101)),
    (b',"timeout":2,"disable_fallbacks":true', Limits(deadline_s=2.0, stays=True)),
    (b',"timeout":null,"num_retries":null,"models":null,"fallbacks":null,"disable_fallbacks":null', Limits()),
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


def test_of_field_and_header_the_stricter_counts():
    request = parse(b'{"model":"m","messages":[],"timeout":5,"num_retries":0}', Kind.CHAT)

    asked = with_headers(request, {b"x-litellm-timeout": b"9", b"x-litellm-num-retries": b"2"}).limits
    assert (asked.deadline_s, asked.max_sent) == (5, 1)
    assert with_headers(request, {b"x-litellm-timeout": b" 1.5 "}).limits.deadline_s == 1.5


def test_tags_of_body_and_header_join_up_to_a_bound():
    request = parse(b'{"model":"m","messages":[],"metadata":{"tags":["a",1e999,"b"]}}', Kind.CHAT)

    assert with_headers(request, {b"x-litellm-tags": b"c,, d ,"}).tags == ("a", "b", "c", "d")
    assert len(with_headers(request, {b"x-litellm-tags": b"t," * 500}).tags) == MAX_TAGS


@pytest.mark.parametrize("value", [b"", b"inf", b"0", b"-1", b"soon"])
def test_a_header_that_is_no_limit_is_refused_by_name(value):
    with pytest.raises(MalformedHttp) as caught:
        with_headers(parse(b'{"model":"m","messages":[]}', Kind.CHAT), {b"x-litellm-timeout": value})

    assert caught.value.param == "x-litellm-timeout"
