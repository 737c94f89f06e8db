"""When has a configuration file changed for good? A poll of what the file system says, debounced.

Why polling? A stat costs microseconds, and works where notifications do not: network file systems, mounted
ConfigMaps (a link is swapped), editors that write a new file and rename it. A change counts once the file has stayed
the same for one look, so that a half-written one is not read.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any

from pointsman.config.document import Document

Stamp = tuple[tuple[int, int, int] | None, ...]
"""For each file inode, size and modification time in nanoseconds; None = it is not there. The configuration is first."""

SECRET = "file:"


class Seen(Enum):
    """What one look found."""

    NOTHING = "nothing new"
    CHANGED = "the files have changed and settled: read them"
    VANISHED = "the configuration is gone; said once, until it is back"


class FileWatch:
    """Remembers what was loaded and what the last look saw. Does no I/O itself: looks are handed in."""

    def __init__(self, loaded: Stamp) -> None:
        self._loaded = self._last = loaded
        self._is_gone = False

    def look(self, stamp: Stamp) -> Seen:
        """Judges one look. After `CHANGED` this stamp counts as loaded, whatever the reading gives: a bad file is told once."""
        is_settled, self._last = stamp == self._last, stamp
        if stamp[0] is None:
            if self._is_gone or not is_settled:
                return Seen.NOTHING
            self._is_gone = True
            return Seen.VANISHED
        self._is_gone = False
        if stamp == self._loaded or not is_settled:
            return Seen.NOTHING
        self._loaded = stamp
        return Seen.CHANGED

    def loaded(self, stamp: Stamp) -> None:
        """Somebody else (a signal) has just had these files read."""
        self._loaded = self._last = stamp


class WatchedFiles:
    """A configuration file and the secret files that it names, as they were when they were last read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files = watched_files(path)
        self._watch = FileWatch(stamp_of(self._files))

    def look(self) -> Seen:
        """Call it about once a second."""
        seen = self._watch.look(stamp_of(self._files))
        if seen is Seen.CHANGED:
            self._name_again()
        return seen

    def loaded(self) -> None:
        """The file is about to be read, for another reason than its change."""
        self._name_again()
        self._watch.loaded(stamp_of(self._files))

    def _name_again(self) -> None:
        """A changed file may name other secret files. Stamped before it is read: a later change is seen as one."""
        files = watched_files(self._path)
        if files != self._files:
            self._files = files
            self._watch.loaded(stamp_of(files))


def stamp_of(files: tuple[Path, ...]) -> Stamp:
    """One look."""
    return tuple(_state(file) for file in files)


def _state(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except (OSError, ValueError):
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def watched_files(file: Path) -> tuple[Path, ...]:
    """The configuration and the secret files that it names; just itself when it cannot be read."""
    try:
        text = file.read_bytes().decode("utf-8-sig", "replace")
    except (OSError, ValueError):
        return (file,)
    named = dict.fromkeys(_references(Document(text).data))
    return (file, *(file.parent / name for name in named if "\0" not in name))


def _references(data: Any) -> list[str]:
    match data:
        case dict():
            return [name for value in data.values() for name in _references(value)]
        case list():
            return [name for value in data for name in _references(value)]
        case str() if data.startswith(SECRET):
            return [data.removeprefix(SECRET)]
        case _:
            return []
