"""When a figure is none."""

import pytest

from pointsman.upstream.load_report.parts import requests, share, total, version_of, whole


@pytest.mark.parametrize(("value", "count"), [(0, 0), (3.0, 3), (-1, None), (True, None), (None, None), ("3", None), (1e9, None)])
def test_a_count_of_requests(value: object, count: int | None) -> None:
    assert requests(value) == count


@pytest.mark.parametrize(("value", "part"), [(0, 0.0), (1, 1.0), (1.005, 1.0), (1.5, None), (-0.1, None), (False, None), (None, None)])
def test_a_share_is_a_number_from_0_to_1_or_unknown(value: object, part: float | None) -> None:
    assert share(value) == part


def test_a_total_is_of_what_is_known():
    assert total(None, 2.0, 3.0) == 5.0
    assert total(None, None) is None
    assert whole(10**400) is None


@pytest.mark.parametrize(("body", "version"), [
    (b'{"version":"1.2"}', "1.2"), (b'{"version":7}', ""), (b"[]", ""), (None, ""), (b'{"version":"a\\nb"}', ""),
    (b'{"version":"' + b"x" * 100 + b'"}', "x" * 64)])
def test_a_version_is_short_printable_text(body: bytes | None, version: str) -> None:
    assert version_of(body) == version
