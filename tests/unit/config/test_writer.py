"""Files as a person would have written them."""

import pytest

from pointsman.config.document import Document
from pointsman.config.writer import number, write


def test_a_file_has_the_editors_line_comments_and_short_things_on_one_line():
    text = write(
        {"tiers": {"small": {"model": "qwen:7b", "endpoints": [{"url": "http://h/v1", "slots": 8}]}},
         "routes": {"auto": {"ladder": ["small"], "quality": 0.8}}},
        {("tiers", "small"): "The first.", ("routes",): "What clients name.", (): "The end."}, head="Written by hand.")

    assert text == """\
# yaml-language-server: $schema=pointsman.schema.json
#
# Written by hand.

tiers:
  # The first.
  small:
    model: "qwen:7b"
    endpoints:
      - {url: "http://h/v1", slots: 8}

# What clients name.
routes:
  auto:
    ladder: [small]
    quality: 0.8

# The end.
"""


def test_a_comment_inside_opens_what_would_have_stood_on_one_line():
    text = write({"tiers": {"a": {"endpoints": [{"url": "u", "gpu": {"type": "H100"}}]}}}, {("tiers", "a", "endpoints", 0, "gpu"): "Dear."})

    assert text.endswith("""\
      - url: u
        # Dear.
        gpu: {type: H100}
""")


@pytest.mark.parametrize("value", [
    "yes", "No", "null", "~", "0123", "1:30", "1e5", "", " a", "a ", "a: b", "a #b", "#a", "- a", "{a}", "[a]", "*a", "&a", "!a", "|", ">", "%a", "@a",
    "`a`", "'a'", '"a"', "a\nb", "a\tb", "\x7f", "\x85", "\u2028", "ü", "日本", "😀", "\ufeff", "30s", "${KEY}", "os.environ/KEY", "=", "<<", "2026-01-01", "a,b",
    "true story", "on", "\\", "a\\nb", "key:", 0, -1, 1.5, 1e-7, 123456789.25, True, None, [], {}, ["a", 1], {"a b": {"c": [1, 2]}},
])
def test_what_is_read_back_is_what_was_given(value):
    document = Document(write({"key": value, "list": [value], "map": {"deep": {"er": {"still": value}}}}))

    assert document.problems == []
    assert document.data == {"key": value, "list": [value], "map": {"deep": {"er": {"still": value}}}}


def test_comments_cannot_break_out_of_their_line():
    text = write({"a": 1}, {("a",): "one\rtwo\x85three\u2028four\nfive " + "word " * 40})

    assert Document(text).data == {"a": 1}
    assert all(len(line) <= 116 for line in text.splitlines())


@pytest.mark.parametrize(("value", "text"), [(1e-7, "0.0000001"), (2.0, "2"), (0.15, "0.15"), (0.0, "0"), (1234.5, "1234.5")])
def test_numbers_are_plain_decimals(value, text):
    assert number(value) == text
