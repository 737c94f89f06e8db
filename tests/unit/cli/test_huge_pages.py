"""What a process has in memory, moved onto huge pages."""

import asyncio
import sys
from types import SimpleNamespace

import msgspec
import pytest

from pointsman.cli import huge_pages
from pointsman.cli.huge_pages import FIRST_S, HUGE, LEAST, MOST, RAREST_S, SMALL, gather, is_full, keep_gathered, moved
from pointsman.cli.serving import gathers
from pointsman.core.settings import ServerSettings
from pointsman.testing.factories import a_pool, a_settings

FULL = b"\0\0\0\0\0\0\0\x80" * (HUGE // SMALL)
NOTHING = bytes(len(FULL))


def a_mapping(first, last, rights="rw-p", inode="0", name=""):
    return f"{first:x}-{last:x} {rights} 00000000 00:00 {inode} {name}\n"


def of(maps, entries=lambda address: FULL):
    places = []
    count = moved(maps, entries, lambda address, size: not places.append((address, size)))
    assert count == len(places)
    return [address for address, size in places if size == HUGE]


def test_only_whole_huge_pages_inside_a_mapping_are_moved():
    assert of(a_mapping(HUGE - SMALL, 3 * HUGE + SMALL, name="[heap]")) == [HUGE, 2 * HUGE]
    assert of(a_mapping(HUGE + SMALL, 3 * HUGE - SMALL)) == []


@pytest.mark.parametrize("changes", [{"rights": "r-xp"}, {"rights": "rw-s"}, {"rights": "r--p"}, {"rights": "---p"}, {"name": "[stack]"}, {"inode": "4711", "name": "/usr/lib/libc.so"}])
def test_what_is_shared_or_has_a_file_behind_it_stays(changes):
    assert of(a_mapping(HUGE, 2 * HUGE, **changes)) == []


def test_what_is_nearly_empty_stays_so_that_the_process_does_not_grow():
    assert of(a_mapping(HUGE, 3 * HUGE), lambda address: FULL if address == HUGE else NOTHING) == [HUGE]


@pytest.mark.parametrize(("share", "expected"), [(LEAST, True), (LEAST - 0.01, False), (1.0, True), (0.0, False)])
def test_full_is_a_share_of_small_pages(share, expected):
    there = int(share * HUGE // SMALL) * 8

    assert is_full(FULL[:there] + NOTHING[there:]) is expected


def test_pages_that_are_swapped_out_are_not_there():
    assert not is_full(b"\0\0\0\0\0\0\0\x40" * (HUGE // SMALL))


def test_a_page_that_the_kernel_refuses_does_not_count():
    assert moved(a_mapping(HUGE, 3 * HUGE), lambda address: FULL, lambda address, size: address == HUGE) == 1


def test_a_process_with_very_much_memory_is_moved_in_part():
    assert len(of(a_mapping(HUGE, (MOST + 9) * HUGE))) == MOST


def test_nothing_is_moved_where_huge_pages_are_turned_off(tmp_path, monkeypatch):
    monkeypatch.setattr(huge_pages, "_ENABLED", tmp_path / "enabled")
    monkeypatch.setattr(huge_pages, "_collapse", lambda: pytest.fail("it was turned off"))
    assert gather() == 0  # there is no such file

    (tmp_path / "enabled").write_text("always madvise [never]\n")
    assert gather() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_this_process_goes_on_as_before():
    kept = [bytes([n % 256]) * 4096 for n in range(2048)]

    assert gather() >= 0
    assert all(page == bytes([n % 256]) * 4096 for n, page in enumerate(kept))


def test_it_is_looked_again_ever_more_rarely_until_there_is_nothing(monkeypatch):
    counts, pauses = iter([7] * 12 + [0]), []
    monkeypatch.setattr(huge_pages, "gather", lambda: next(counts))

    async def pause(seconds):
        pauses.append(seconds)

    asyncio.run(keep_gathered(pause))

    assert pauses[:3] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S]
    assert pauses[-1] == RAREST_S
    assert next(counts, None) is None


@pytest.mark.parametrize(("serves", "said", "expected"), [(True, "auto", True), (True, "off", False), (False, "auto", False)])
def test_only_a_process_that_serves_alone_gathers_and_only_where_nobody_has_said_no(serves, said, expected):
    service = SimpleNamespace(serves=serves, settings=a_settings(a_pool("small")))
    service.settings = msgspec.structs.replace(service.settings, server=ServerSettings(huge_pages=said))
    assert gathers(service) is expected
