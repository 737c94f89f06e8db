"""A trained classifier on disk: a directory with `manifest.json` and arrays. Reading it executes nothing.

Why a manifest that names files by their content? An array's file carries a piece of its own SHA-256 in its name, so a new
version never overwrites what an older manifest refers to, and replacing `manifest.json` is the one step that makes a new
artifact of the directory: whoever reads meanwhile gets the old one or the new one, whole. Files that no manifest names
any longer are removed afterwards.

What is trusted? Nothing: sizes are bounded before a byte is read, names are checked before a file is opened, digests
before a number is used, and of the array format only plain numbers are read. The same draft gives the same bytes:
no time, no host and no path goes into the files.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from pointsman.errors import ArtifactOfAnotherVersion, ArtifactRefused, ArtifactUnwritable

FORMAT = 1
"""Version of what this module writes. Another number in a manifest is refused."""
MANIFEST = "manifest.json"

MAX_MANIFEST_BYTES = 8 * 1024 * 1024
"""Vocabularies and cards fit a hundred times over."""
MAX_ARRAYS = 512
MAX_BYTES = 1024 * 1024 * 1024
"""All arrays together. 20,000 labels with their neighbours' vectors take about 40 MB."""
MAX_DIMENSIONS = 8

Array: TypeAlias = NDArray[Any]
Manifest: TypeAlias = dict[str, Any]

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,119}")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,159}\.[0-9a-f]{16}\.npy")
_DTYPES = frozenset(("|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8"))
"""Booleans, integers, floats. No objects, no text, no structures."""
_MAGIC = b"\x93NUMPY\x01\x00"
_RESERVED = ("format", "arrays")


@dataclass(frozen=True)
class ArtifactDraft:
    """What training hands over: everything that is not an array (JSON values, no times), and the arrays by name."""

    manifest: Manifest
    arrays: dict[str, Array]


@dataclass(frozen=True, repr=False)
class Artifact:
    """What was read. The arrays are read-only."""

    manifest: Manifest
    """Without what belongs to the files themselves (`format`, `arrays`)."""
    arrays: dict[str, Array]
    digest: str
    """SHA-256 of the manifest, which holds those of all arrays: two artifacts with one digest are the same."""
    path: Path = field(default=Path())

    @property
    def version(self) -> str:
        """Short name for people, records and metrics."""
        return self.digest[:12]

    @property
    def features(self) -> Manifest:
        """What it was trained on: `structural`, `ngrams`, `static`, `sentence`."""
        found = self.manifest.get("features")
        return found if isinstance(found, dict) else {}

    def __repr__(self) -> str:
        return f"<Artifact {self.path} {self.version} [{len(self.arrays)} arrays]>"

    def require(self, feature: str, ours: object) -> None:
        """Refuses an artifact whose `features.<feature>` is not what runs here."""
        theirs = self.features.get(feature)
        if theirs != ours:
            raise ArtifactOfAnotherVersion(str(self.path), f"features.{feature}", theirs, ours)

    def array(self, name: str) -> Array:
        """The array of that name. Raises `ArtifactRefused` when there is none."""
        if name not in self.arrays:
            raise ArtifactRefused(str(self.path), f"the array {name!r} is missing")
        return self.arrays[name]


class _Entry(msgspec.Struct, frozen=True):
    """What a manifest says of one array."""

    file: str
    sha256: str
    bytes: int
    dtype: str
    shape: tuple[int, ...]


class _Head(msgspec.Struct, frozen=True):
    """The part of a manifest that this module reads."""

    format: int
    arrays: dict[str, _Entry]


class _Format(msgspec.Struct, frozen=True):
    format: int


# ---------------------------------------------------------------------------------------------------------
# Writing


def write(draft: ArtifactDraft, path: Path | str) -> Artifact:
    """Puts the draft into the directory `path`, replacing an artifact that is there. Returns it as `read` would.

    Raises `ArtifactUnwritable` when the directory holds something else, or cannot be written.
    """
    directory = Path(path)
    files = {_checked(name): _npy(name, array) for name, array in draft.arrays.items()}
    entries = {name: _entry(name, data, draft.arrays[name]) for name, data in files.items()}
    manifest = _encoded(draft.manifest, entries)
    if len(manifest) > MAX_MANIFEST_BYTES or len(files) > MAX_ARRAYS or sum(map(len, files.values())) > MAX_BYTES:
        raise ArtifactUnwritable(str(directory), f"it is larger than can be read again ({len(files)} arrays)")
    new: list[Path] = []  # Files that no manifest names yet.
    try:
        directory.mkdir(parents=True, exist_ok=True)
        refuse_place(directory)
        for name, data in files.items():
            if not (place := directory / entries[name].file).exists():
                new.append(place)
            _put(directory, entries[name].file, data)
        _put(directory, MANIFEST, manifest)
        new.clear()
        _sweep(directory, {entry.file for entry in entries.values()})
    except OSError as exc:
        _withdraw(new)
        raise ArtifactUnwritable(str(directory), exc.strerror or str(exc)) from exc
    return _built(directory, manifest, {entry.file: files[name] for name, entry in entries.items()})


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name) or ".." in name:
        raise ValueError(f"{name!r} cannot be the name of an array: letters, digits and _ . - / please")
    return name


def _npy(name: str, array: Array) -> bytes:
    """The array in numpy's file format, version 1, little-endian, row by row."""
    dtype = _dtype_of(array)
    if dtype not in _DTYPES:
        raise ValueError(f"array {name!r} holds {array.dtype}; an artifact holds numbers only")
    return _header(dtype, np.shape(array)) + np.asarray(array).astype(dtype, copy=False).tobytes(order="C")


def _header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """The head of such a file. Written here, since a reader that expects exactly these bytes has nothing to parse."""
    sides = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({sides}), }}"
    # The numbers begin at a multiple of 64 bytes, as the format asks.
    padding = -(len(_MAGIC) + 2 + len(text) + 1) % 64
    return _MAGIC + (len(text) + padding + 1).to_bytes(2, "little") + text.encode("latin-1") + b" " * padding + b"\n"


def _dtype_of(array: Array) -> str:
    return np.asarray(array).dtype.newbyteorder("<").str


def _entry(name: str, data: bytes, array: Array) -> _Entry:
    digest = hashlib.sha256(data).hexdigest()
    file = f"{name.replace('/', '-')}.{digest[:16]}.npy"
    return _Entry(file, digest, len(data), _dtype_of(array), np.shape(array))


def _encoded(manifest: Mapping[str, Any], entries: Mapping[str, _Entry]) -> bytes:
    """JSON with sorted keys. Floats in their shortest form that reads back as the same float."""
    if taken := [name for name in _RESERVED if name in manifest]:
        raise ValueError(f"a draft's manifest may not hold {taken[0]!r}: the artifact writes it")
    whole = {**manifest, "format": FORMAT, "arrays": msgspec.to_builtins(dict(entries))}
    return json.dumps(whole, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False).encode() + b"\n"


def refuse_place(directory: Path) -> None:
    """Raises `ArtifactUnwritable` where an artifact could not be written: asked before an hour of training, not after.

    An artifact may replace an artifact; in a directory with other things in it nobody asked for one.
    """
    if not directory.exists():
        above = next(place for place in directory.absolute().parents if place.exists())
        if not above.is_dir():
            raise ArtifactUnwritable(str(directory), f"{str(above)!r} is a file")
        if not os.access(above, os.W_OK | os.X_OK):
            raise ArtifactUnwritable(str(directory), f"nothing may be written into {str(above)!r}")
        return
    if not directory.is_dir():
        raise ArtifactUnwritable(str(directory), "it is a file; an artifact is a directory")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise ArtifactUnwritable(str(directory), "nothing may be written into it")
    if (directory / MANIFEST).exists():
        return
    strange = [entry.name for entry in directory.iterdir() if not _FILE.fullmatch(entry.name) and not entry.name.endswith(".part")]
    if strange:
        raise ArtifactUnwritable(str(directory), f"the directory holds other things ({min(strange)!r}); name a new one")


def _put(directory: Path, name: str, data: bytes) -> None:
    """A file that is there whole or not at all, even after a power cut."""
    part = directory / f"{name}.{os.getpid()}.part"
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(directory / name)
    finally:
        part.unlink(missing_ok=True)


def _withdraw(files: Sequence[Path]) -> None:
    """What was written of an artifact that did not come about: on a full disk it would keep others from writing."""
    for file in files:
        with suppress(OSError):
            file.unlink(missing_ok=True)


def _sweep(directory: Path, kept: set[str]) -> None:
    for entry in directory.iterdir():
        if entry.name not in kept and _FILE.fullmatch(entry.name):
            entry.unlink(missing_ok=True)


# ---------------------------------------------------------------------------------------------------------
# Reading


def read(path: Path | str) -> Artifact:
    """The artifact in the directory `path`. Raises `ArtifactRefused` for whatever is wrong with it.

    When another process replaces the artifact meanwhile, the new one is read.
    """
    directory = Path(path)
    before = b""
    while True:
        manifest = _bytes_of(directory, MANIFEST, MAX_MANIFEST_BYTES)
        try:
            return _built(directory, manifest, None)
        except _Replaced as exc:
            if manifest == before:
                raise ArtifactRefused(str(directory), f"the file {exc.name!r} that its manifest names is missing") from exc
            before = manifest


class _Replaced(Exception):
    """A file that the manifest names is gone: a newer manifest may be there."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _built(directory: Path, data: bytes, files: Mapping[str, bytes] | None) -> Artifact:
    """`files`: what was just written; None = read them."""
    head, manifest = _parsed(directory, data)
    arrays = {name: _array(directory, name, entry, files) for name, entry in head.arrays.items()}
    return Artifact(manifest, arrays, hashlib.sha256(data).hexdigest(), directory)


def _parsed(directory: Path, data: bytes) -> tuple[_Head, Manifest]:
    try:
        format_ = msgspec.json.decode(data, type=_Format).format
        if format_ != FORMAT:
            raise ArtifactOfAnotherVersion(str(directory), "format", format_, FORMAT)
        head = msgspec.json.decode(data, type=_Head)
        manifest = msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as exc:
        raise ArtifactRefused(str(directory), f"{MANIFEST} is not an artifact's manifest: {exc}") from exc
    if len(head.arrays) > MAX_ARRAYS or any(entry.bytes < 0 for entry in head.arrays.values()):
        raise ArtifactRefused(str(directory), f"{MANIFEST} names {len(head.arrays)} arrays; at most {MAX_ARRAYS} are read")
    if (size := sum(entry.bytes for entry in head.arrays.values())) > MAX_BYTES:
        raise ArtifactRefused(str(directory), f"its arrays take {size:,} bytes; at most {MAX_BYTES:,} are read")
    return head, {key: value for key, value in manifest.items() if key not in _RESERVED}


def _array(directory: Path, name: str, entry: _Entry, files: Mapping[str, bytes] | None) -> Array:
    if not _FILE.fullmatch(entry.file):
        raise ArtifactRefused(str(directory), f"{entry.file[:80]!r} is no name of an array's file")
    data = files[entry.file] if files is not None else _bytes_of(directory, entry.file, entry.bytes)
    if len(data) != entry.bytes or hashlib.sha256(data).hexdigest() != entry.sha256:
        raise ArtifactRefused(str(directory), f"the file {entry.file!r} was changed: its SHA-256 is not the manifest's")
    is_sound = entry.dtype in _DTYPES and len(entry.shape) <= MAX_DIMENSIONS and all(side >= 0 for side in entry.shape)
    if not is_sound or not data.startswith(header := _header(entry.dtype, entry.shape)):
        raise ArtifactRefused(str(directory), f"the array {name!r} is not the {entry.dtype} {entry.shape} that the manifest says")
    try:
        # Read-only, and no copy: the numbers stay where the file's bytes are.
        return np.frombuffer(data, dtype=entry.dtype, offset=len(header)).reshape(entry.shape)
    except ValueError as exc:
        raise ArtifactRefused(str(directory), f"the array {name!r} does not hold {entry.shape} numbers") from exc


def _bytes_of(directory: Path, name: str, most: int) -> bytes:
    """A regular file of at most `most` bytes. Nothing blocks: a pipe under that name is refused, not waited for."""
    try:
        descriptor = os.open(directory / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as exc:
        if name != MANIFEST:
            raise _Replaced(name) from exc
        why = f"there is no {MANIFEST} in it" if directory.is_dir() else "there is no such directory"
        raise ArtifactRefused(str(directory), f"{why}; `pointsman train DATA --out DIR` makes one") from exc
    except OSError as exc:
        raise ArtifactRefused(str(directory), f"{name} cannot be read: {exc.strerror}") from exc
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or about.st_size > most:
            raise ArtifactRefused(str(directory), f"{name} is no file of at most {most:,} bytes")
        return file.read(most + 1)
