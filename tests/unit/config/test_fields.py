"""What one value of the file may look like."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from pointsman.config.fields import Duration, Name, Pause, Size, Words


def read(kind, value):
    return TypeAdapter(kind).validate_python(value)


def test_a_duration_is_more_than_nothing_and_at_most_a_day():
    assert read(Duration, "250ms") == 0.25
    for wrong in ("0s", "25h", "-1s"):
        with pytest.raises(ValidationError):
            read(Duration, wrong)


def test_a_pause_may_be_none():
    assert read(Pause, "0s") == 0.0


def test_a_size_says_what_it_wants_instead():
    assert read(Size, "1MiB") == 1024**2
    with pytest.raises(ValidationError, match="1 parsecs"):
        read(Size, "1 parsecs")


def test_one_word_is_a_list_of_one():
    assert read(Words, "refund") == ["refund"]


def test_a_name_may_stand_in_a_header():
    assert read(Name, "qwen2.5-7b") == "qwen2.5-7b"
    with pytest.raises(ValidationError):
        read(Name, "a b")
