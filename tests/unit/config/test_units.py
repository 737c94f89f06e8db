import pytest

from pointsman.config.units import NotAQuantity, format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"), [("200ms", 0.2), ("30s", 30.0), ("2m", 120.0), ("1h", 3600.0), ("1.5s", 1.5), ("30 s", 30.0)]
)
def test_a_duration_is_a_number_and_a_unit(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"), [("32MiB", 32 * 1024**2), ("512KB", 512_000), ("100B", 100), ("1.5KiB", 1536), ("1GB", 10**9)]
)
def test_a_size_knows_decimal_and_binary_prefixes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("value", [30, 0.5, "30", "0"])
def test_a_bare_number_is_refused_with_the_likely_spelling(value):
    with pytest.raises(NotAQuantity, match=f"{value} has no unit; write for instance {value}s"):
        parse_duration(value)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_no_number_at_all_gets_no_unit_proposed(value):
    with pytest.raises(NotAQuantity, match="expected a duration such as 30s, got infinity or NaN"):
        parse_duration(value)


@pytest.mark.parametrize("value", ["", "s", "-3s", "1e3s", "5 parsecs", "5d", "5S", True, None, [], "٣s", "1s "
                                   "2s"])
def test_what_is_no_duration_is_refused(value):
    with pytest.raises(NotAQuantity):
        parse_duration(value)


def test_an_unknown_unit_is_named_with_those_that_exist():
    with pytest.raises(NotAQuantity, match="unknown unit 'mb' in '5mb'; units of a size are B, KB, MB"):
        parse_size("5mb")


def test_half_a_byte_is_no_size():
    with pytest.raises(NotAQuantity, match="whole number of bytes"):
        parse_size("0.5B")


def test_formats_read_as_people_write_them():
    assert [format_duration(s) for s in (0.2, 600.0, 1.5)] == ["200ms", "600s", "1.5s"]
    assert [format_size(n) for n in (32 * 1024**2, 2_000_000, 7)] == ["32MiB", "2MB", "7B"]
