"""Whatever stands in the file: settings, or problems that each say where."""

import re

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.config.load import load_text
from pointsman.errors import ConfigError

VALID = """\
server: {host: 127.0.0.1, port: 4000, max_body: 32MiB}
auth: {keys: [{name: app, key: "${K}", routes: [auto]}]}
tiers:
  small:
    model: qwen-7b
    sla: {ttft_target: 200ms}
    endpoints:
      - {url: "http://10.0.0.1:8001/v1", slots: 8, gpu: {type: RTX 4090, usd_per_hour: 0.51, tokens_per_s: 1000}}
  large: {pools: [llama]}
pools:
  llama:
    model: llama-70b
    capabilities: {context: 32768, tools: true}
    endpoints: [{url: "https://a.example/v1", api_key: "${K}", usd_per_million: {input: 0.88, output: 0.88}}]
routes:
  auto:
    ladder: [small, large]
    quality: 0.8
    rules:
      - {when: {regex: "a+", any: [{tools: true}]}, tier: small}
"""
PLACE = re.compile(r"junk\.yaml:[1-9]\d*: \S.*: .+", re.DOTALL)


def is_handled(text):
    """Loads to settings, or to problems with a place; returns what was said."""
    problems = problems_of(text)
    assert problems is None or problems
    for problem in problems or ():
        assert PLACE.fullmatch(problem), problem
    return "\n".join(problems or ())


def problems_of(text):
    """None for a usable file."""
    try:
        load_text(text, "junk.yaml", {"K": "k"})
    except ConfigError as exc:
        return exc.problems
    return None


@given(st.text(max_size=200))
def test_any_text_is_loaded_or_refused_in_words(text):
    is_handled(text)


TOKENS = st.sampled_from(
    ["tiers", "pools", "routes", "auto", ": ", ":", "\n", "\n  ", "- ", "[", "]", "{", "}", ", ", "&a ", "*a", "!!str ", "! ", "<<",
     "'", '"', "|\n", "> ", "# ", "%YAML", "---", "...", "0123", "yes", "~", ".nan", "1e9", "\\", "\t", "? ", "${K}", "2001-01-01"]
)


@given(st.lists(TOKENS, max_size=40).map("".join))
def test_any_heap_of_yaml_tokens_is_loaded_or_refused_in_words(text):
    is_handled(text)


@settings(max_examples=150)
@given(st.integers(0, len(VALID)), st.integers(0, 25), st.one_of(TOKENS, st.text(max_size=5)))
def test_a_good_file_with_any_piece_replaced_is_loaded_or_refused_in_words(start, length, piece):
    is_handled(VALID[:start] + piece + VALID[start + length:])


PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-10, 10**9), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)), max_leaves=6,
)


def places(data, loc=()):
    """Every place of a plain document."""
    yield loc
    children = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in children:
        yield from places(value, (*loc, key))


PLACES = list(places(yaml.safe_load(VALID)))[1:]


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(PLACES), PLAIN), min_size=1, max_size=3))
def test_a_good_file_with_any_values_replaced_is_loaded_or_refused_in_words(changes):
    data = yaml.safe_load(VALID)
    for loc, value in changes:
        holder = data
        for part in loc[:-1]:
            if not isinstance(holder, dict | list) or (isinstance(holder, list) and not isinstance(part, int)):
                break
            holder = holder.get(part) if isinstance(holder, dict) else holder[part] if part < len(holder) else None
        if isinstance(holder, dict) or (isinstance(holder, list) and isinstance(loc[-1], int) and loc[-1] < len(holder)):
            holder[loc[-1]] = value
    is_handled(yaml.safe_dump(data, allow_unicode=True))


@given(st.text("abcdef0123456789_-", min_size=16, max_size=40), st.sampled_from(["plain", "number", "url"]))
def test_a_literal_secret_is_never_repeated(secret, kind):
    value = {"plain": f'"sk-{secret}"', "number": f"sk-{secret}", "url": f'"${{{secret}"'}[kind]
    text = VALID.replace('"${K}"', value)

    said = is_handled(text)
    assert "a secret must not stand in the file" in said
    assert secret not in said
