"""Whatever the body, what reaches an endpoint is the client's bytes but for the spliced spans."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.core.request import Kind
from pointsman.core.scan import members
from pointsman.core.splice import spliced
from pointsman.server.body import parse
from pointsman.server.limits import CONSUMED

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
TAKEN = {
    "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "tools", "functions",
    "response_format", "logprobs", "top_logprobs", "metadata", "prompt", "best_of", "input", "models", "fallbacks",
    "provider", "api_base", "base_url", "api_key", "user_config",
    "disable_fallbacks", "num_retries", "timeout", "stream_timeout", "tags", "mock_testing_fallbacks",
}
strangers = st.dictionaries(st.text().filter(lambda key: key.casefold() not in TAKEN), json_values, max_size=5)
spaces = st.sampled_from(["", " ", "\n", "\t ", "\r\n  "])


ours = st.fixed_dictionaries({}, optional={
    "fallbacks": st.lists(st.text(), max_size=3), "models": st.none() | st.lists(st.text(), max_size=3),
    "timeout": st.floats(0.1, 1e6), "num_retries": st.integers(0, 9), "disable_fallbacks": st.booleans(),
    "mock_testing_fallbacks": st.just(False), "stream_timeout": st.floats(0.1, 1e6), "tags": st.none() | st.lists(st.text(), max_size=3),
})


@st.composite
def bodies(draw, with_ours=False):
    """A valid chat body: our fields and strangers, in any order, with any white space and either way of escaping."""
    turns = draw(st.lists(st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system"]),
                                                 "content": st.text()}), max_size=4))
    fields = {"model": draw(st.text(min_size=1)), "messages": turns} | draw(strangers)
    if draw(st.booleans()):
        fields["stream"] = draw(st.booleans())
    if draw(st.booleans()):
        fields["stream_options"] = draw(st.sampled_from([None, {}, {"include_usage": True}, {"include_usage": False},
                                                         {"x": [1], "include_usage": False}]))
    fields |= draw(ours) if with_ours else {}
    items = draw(st.permutations(list(fields.items())))
    space, is_ascii = draw(spaces), draw(st.booleans())
    members_ = [f"{space}{json.dumps(k, ensure_ascii=is_ascii)}{space}:{space}{json.dumps(v, ensure_ascii=is_ascii)}"
                for k, v in items]
    return ("{" + f"{space},".join(members_) + space + "}").encode("utf-8", "surrogatepass")


def is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return b"\\ud" not in body.lower()  # lone surrogates are no text


def raw_fields(body: bytes) -> list[tuple[str, bytes]]:
    return [(m.key, body[m.start : m.end]) for m in members(body)[0]]


@settings(max_examples=1000, deadline=None)
@given(bodies().filter(is_utf8))
def test_a_thousand_bodies_arrive_equal_but_for_the_splices(body):
    request = parse(body, Kind.CHAT)
    sent = spliced(request, "the/model")

    before, after = raw_fields(body), raw_fields(sent)
    touched = {"model", "stream_options"}
    assert [f for f in after if f[0] not in touched] == [f for f in before if f[0] not in touched]
    assert dict(after)["model"] == b'"the/model"'
    assert json.loads(sent)["model"] == "the/model"
    if request.stream:
        assert json.loads(sent)["stream_options"]["include_usage"] is True
    elif "stream_options" in dict(before):
        assert dict(after)["stream_options"] == dict(before)["stream_options"]


@settings(max_examples=200, deadline=None)
@given(bodies().filter(is_utf8))
def test_without_splices_to_make_every_other_byte_is_the_clients(body):
    request = parse(body, Kind.CHAT)
    span = request.spans["model"]
    if not request.stream or request.include_usage:
        assert spliced(request, "M") == body[: span.start] + b'"M"' + body[span.end :]


@settings(max_examples=500, deadline=None)
@given(bodies(with_ours=True).filter(is_utf8))
def test_what_is_for_the_router_alone_is_cut_out_and_the_rest_stays(body):
    request = parse(body, Kind.CHAT)
    sent = spliced(request, "m")

    before, after = raw_fields(body), raw_fields(sent)
    touched = CONSUMED | {"model", "stream_options"}
    assert [f for f in after if f[0] not in touched] == [f for f in before if f[0] not in touched]
    assert not CONSUMED & dict(after).keys()
    assert json.loads(sent).keys() - {"stream_options"} == json.loads(body).keys() - CONSUMED - {"stream_options"}


@settings(max_examples=300, deadline=None)
@given(bodies().filter(is_utf8), st.text(min_size=1).filter(lambda t: is_utf8(t.encode("utf-8", "surrogatepass"))))
def test_a_system_prompt_comes_first_and_nothing_is_lost(body, system):
    request = parse(body, Kind.CHAT)
    turns = json.loads(spliced(request, "m", system))["messages"]
    mine = json.loads(body)["messages"]

    assert turns[0]["role"] in ("system", "developer")
    assert turns[0]["content"].startswith(system)
    assert turns[-len(mine):] == mine or turns[1:] == mine[1:]
