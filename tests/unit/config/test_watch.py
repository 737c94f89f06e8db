"""A changed file is read once it has settled, and what is wrong is said once."""

import os

import pytest

from pointsman.config.watch import FileWatch, Seen, WatchedFiles, stamp_of, watched_files

OLD, NEW, NEWER, GONE = ((1, 10, 100),), ((1, 11, 200),), ((2, 12, 300),), (None,)


@pytest.mark.parametrize(("looks", "expected"), [
    ([OLD, OLD, OLD], "..."),
    ([NEW, NEW, NEW, NEW], ".c.."),
    ([NEW, NEWER, NEWER], "..c"),                # still being written at the second look
    ([NEW, OLD, OLD], "..."),                    # undone before it settled
    ([GONE, GONE, GONE, GONE], ".v.."),          # said once
    ([GONE, OLD, OLD], "..."),                   # an editor that removes and writes: nothing changed
    ([GONE, NEW, NEW], "..c"),                   # renamed into place
    ([GONE, GONE, NEW, NEW, GONE, GONE], ".v.c.v"),
    ([NEW, NEW, OLD, OLD], ".c.c"),              # put back: read again
])
def test_a_change_is_told_once_it_stands_still(looks, expected):
    watch = FileWatch(OLD)
    letters = {Seen.NOTHING: ".", Seen.CHANGED: "c", Seen.VANISHED: "v"}

    assert "".join(letters[watch.look(stamp)] for stamp in looks) == expected


def test_what_a_signal_had_read_is_not_read_again():
    watch = FileWatch(OLD)
    watch.look(NEW)
    watch.loaded(NEW)

    assert watch.look(NEW) is Seen.NOTHING


def test_secret_files_are_watched_as_well(tmp_path):
    file = tmp_path / "router.yaml"
    file.write_text('a: {api_key: "file:keys/one"}\nb: [{token: "file:two"}, {key: "${THREE}"}, {key: "file:two"}]\n')

    assert watched_files(file) == (file, tmp_path / "keys/one", tmp_path / "two")


@pytest.mark.parametrize("text", ["{", "", "- x", "\0"])
def test_a_file_that_cannot_be_read_is_watched_alone(text, tmp_path):
    file = tmp_path / "router.yaml"
    file.write_text(text)

    assert watched_files(file) == (file,)
    assert watched_files(tmp_path / "none.yaml") == (tmp_path / "none.yaml",)


def test_a_new_secret_is_a_change_and_a_new_secret_file_is_found(tmp_path):
    file, key, other = tmp_path / "router.yaml", tmp_path / "key", tmp_path / "other"
    key.write_text("one")
    other.write_text("one")
    file.write_text("api_key: file:key")
    watched = WatchedFiles(file)

    key.write_text("second")
    assert [watched.look() for _ in range(3)] == [Seen.NOTHING, Seen.CHANGED, Seen.NOTHING]
    file.write_text("api_key: file:other")
    assert [watched.look() for _ in range(3)] == [Seen.NOTHING, Seen.CHANGED, Seen.NOTHING]
    other.write_text("second")
    assert [watched.look() for _ in range(3)] == [Seen.NOTHING, Seen.CHANGED, Seen.NOTHING]


def test_a_file_renamed_over_another_of_the_same_size_and_time_is_another(tmp_path):
    file, new = tmp_path / "a", tmp_path / "b"
    for path in (file, new):
        path.write_text("same")
        os.utime(path, ns=(1, 1))
    before = stamp_of((file,))
    new.rename(file)

    assert stamp_of((file,)) != before


def test_a_reading_by_signal_counts_as_seen(tmp_path):
    file = tmp_path / "router.yaml"
    file.write_text("a: 1")
    watched = WatchedFiles(file)
    file.write_text("a: 22")
    watched.loaded()

    assert [watched.look() for _ in range(3)] == [Seen.NOTHING] * 3
