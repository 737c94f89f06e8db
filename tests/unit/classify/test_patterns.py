"""Sets of linear-time patterns."""

import pytest

from pointsman.classify.patterns import PatternSet, compiled
from pointsman.errors import ConfigError


def test_hits_are_the_indices_of_the_patterns_that_occur():
    patterns = PatternSet(["cat", r"(?i)\bdog\b", "x{3}"])

    assert sorted(i for i in patterns.hits(b"a cat and a DOG") if i < len(patterns)) == [0, 1]


def test_an_empty_set_has_no_hits():
    assert [i for i in PatternSet([]).hits(b"anything") if i < 0] == []


def test_a_set_whose_automaton_is_too_large_still_answers_right():
    patterns = PatternSet(["needle"])
    patterns.match = lambda data: []

    assert patterns.hits(b"a needle in hay") == [0]
    assert patterns.fallbacks == 1


@pytest.mark.parametrize("pattern", ["(", r"(?=ahead)", r"(a)\1"])
def test_what_re2_refuses_is_a_sentence_with_the_pattern(pattern):
    with pytest.raises(ConfigError, match="RE2 syntax") as caught:
        compiled(pattern)

    assert repr(pattern) in str(caught.value)


def test_a_pattern_that_explodes_elsewhere_is_linear_here():
    assert compiled(r"(a+)+$").search(b"a" * 50_000 + b"!") is None
