import pytest

from pointsman.core.reply import Usage
from pointsman.upstream.formats.usage import read_usage, strip_usage


@pytest.mark.parametrize(("value", "usage"), [
    ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}, Usage(3, 4)),
    ({"prompt_tokens": 3, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 2}}, Usage(3, 4, 2)),
    ({"prompt_tokens": 3, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 9}}, Usage(3, 4)),
    ({"prompt_tokens": 3, "completion_tokens": 4, "prompt_tokens_details": None}, Usage(3, 4)),
    ({"prompt_tokens": 0, "completion_tokens": 0}, Usage(0, 0)),
    ({"prompt_tokens": 3}, None),
    ({"prompt_tokens": "3", "completion_tokens": 4}, None),
    ({"prompt_tokens": True, "completion_tokens": 4}, None),
    ({"prompt_tokens": -1, "completion_tokens": 4}, None),
    ({"prompt_tokens": 3, "completion_tokens": 10**9}, None),
    ({"prompt_tokens": 3.0, "completion_tokens": 4}, None),
    (None, None),
    ([], None),
])
def test_counts_that_make_no_sense_are_unknown(value: object, usage: Usage | None) -> None:
    assert read_usage(value) == usage


def test_an_embedding_has_no_completion_tokens() -> None:
    assert read_usage({"prompt_tokens": 8, "total_tokens": 8}, embedding=True) == Usage(8, 0)
    assert read_usage({"prompt_tokens": 8, "total_tokens": 8}) is None


@pytest.mark.parametrize(("data", "stripped"), [
    (b'{"id":"x","usage":null}', b'{"id":"x"}'),
    (b'{"usage":null,"id":"x"}', b'{"id":"x"}'),
    (b'{"usage": null , "id":"x"}', b'{"id":"x"}'),
    (b'{"a":1,"usage":{"p":{"q":[1,{}]}},"obfuscation":"}]"}', b'{"a":1,"obfuscation":"}]"}'),
    (b'{"a":1 , "usage" : {"p":1}, "b":2}', b'{"a":1 , "b":2}'),
    (b'{"usage":null}', b"{}"),
    (b'{"usage":"a,b}","x":1}', b'{"x":1}'),
    (b'{"usage":null,"a":1,"usage":null}', b'{"a":1}'),
    # not the top level's, or no key at all
    (b'{"a":{"usage":null}}', b'{"a":{"usage":null}}'),
    (b'{"a":[{"b":1,"usage":{"c":1}}],"d":2}', b'{"a":[{"b":1,"usage":{"c":1}}],"d":2}'),
    (b'{"a":"usage","b":1}', b'{"a":"usage","b":1}'),
    (rb'{"a":",\"usage\":null}","b":{"usage":1}}', rb'{"a":",\"usage\":null}","b":{"usage":1}}'),
    (b'{"a":{"usage":1},"usage":null}', b'{"a":{"usage":1}}'),
    ('{"a":"é\\"{[","usage":1,"b":"😀"}'.encode(), '{"a":"é\\"{[","b":"😀"}'.encode()),
])
def test_only_the_top_level_usage_goes_and_every_other_byte_stays(data: bytes, stripped: bytes) -> None:
    assert strip_usage(data) == stripped


@pytest.mark.parametrize(("details", "cached", "written"), [
    ({"cached_tokens": 3, "cache_write_tokens": 2}, 3, 2), ({"cache_write_tokens": 0}, None, None), ({"cache_write_tokens": 9}, None, None),
    ({"cached_tokens": 3, "cache_write_tokens": 3}, None, None),
])
def test_what_was_written_to_a_cache_is_read_where_it_fits_in(details, cached, written):
    usage = read_usage({"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": details})

    assert (usage.cached_tokens, usage.written_tokens) == (cached, written)
