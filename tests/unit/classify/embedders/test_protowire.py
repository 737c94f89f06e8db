import pytest

from pointsman.classify.embedders.protowire import NotProtobuf, blob, fields, number, numbers, real, varint


def read(message):
    return [(field, value if isinstance(value, int) else bytes(value)) for field, value in fields(memoryview(message))]


@pytest.mark.parametrize(("value", "raw"), [(0, b"\0"), (1, b"\1"), (127, b"\x7f"), (150, b"\x96\x01"), (1 << 40, b"\x80\x80\x80\x80\x80\x20")])
def test_numbers_take_as_many_bytes_as_they_need(value, raw):
    assert varint(value) == raw
    assert numbers(memoryview(raw + raw)) == [value, value]


def test_what_is_written_is_read():
    message = number(1, 300) + blob(2, "héllo") + real(3, 1.5) + blob(16, b"")

    assert read(message) == [(1, 300), (2, "héllo".encode()), (3, b"\0\0\xc0?"), (16, b"")]


def test_a_negative_number_is_written_as_protobuf_does():
    assert read(number(1, -1)) == [(1, (1 << 64) - 1)]


@pytest.mark.parametrize("broken", [b"\x80", b"\x0a\x05abc", b"\x0b", b"\x08" + b"\xff" * 11, b"\x15\0\0"])
def test_a_message_that_ends_early_or_is_none_is_told(broken):
    with pytest.raises(NotProtobuf):
        read(broken)
