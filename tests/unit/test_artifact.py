"""An artifact is numbers and a manifest: written whole, read with suspicion."""

import hashlib
import json
import os
import threading

import numpy as np
import pytest

from pointsman import artifact
from pointsman.artifact import MANIFEST, ArtifactDraft
from pointsman.errors import ArtifactOfAnotherVersion, ArtifactRefused, ArtifactUnwritable


def draft(**changes):
    arrays = {"weights": np.arange(12, dtype=np.float32).reshape(3, 4), "bias": np.array([0.5, -0.25])}
    return ArtifactDraft({"models": ["small", "large"], "features": {"static": "abc"}}, arrays | changes)


def altered(place, change):
    """The manifest, changed by hand."""
    path = place / MANIFEST
    manifest = json.loads(path.read_bytes())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_what_was_written_is_read(tmp_path):
    written = artifact.write(draft(), tmp_path / "a")

    read = artifact.read(tmp_path / "a")

    assert read.manifest == written.manifest == {"models": ["small", "large"], "features": {"static": "abc"}}
    assert read.digest == written.digest
    assert np.array_equal(read.array("weights"), draft().arrays["weights"])
    assert read.array("weights").dtype == np.float32


@pytest.mark.parametrize("array", [
    np.zeros((0, 4)), np.zeros(0), np.array(3.5), np.array([True, False]), np.ones((2, 1, 3), np.float16), np.arange(3, dtype=">i4"),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.array([np.nan, np.inf, -0.0]), np.arange(10)[::2],
], ids=str)
def test_every_kind_of_numbers_survives(tmp_path, array):
    artifact.write(draft(one=array), tmp_path / "a")

    read = artifact.read(tmp_path / "a").array("one")

    assert read.shape == np.shape(array)
    assert np.array_equal(read, array, equal_nan=True)


def test_files_are_readable_by_numpy_without_pickles(tmp_path):
    artifact.write(draft(), tmp_path / "a")

    files = sorted((tmp_path / "a").glob("weights.*.npy"))

    assert np.array_equal(np.load(files[0], allow_pickle=False), draft().arrays["weights"])


def test_the_same_draft_gives_the_same_bytes(tmp_path):
    artifact.write(draft(), tmp_path / "one")
    artifact.write(ArtifactDraft(dict(reversed(draft().manifest.items())), dict(reversed(draft().arrays.items()))), tmp_path / "two")

    contents = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two")]

    assert contents[0] == contents[1]


def test_arrays_cannot_be_written_to(tmp_path):
    read = artifact.write(draft(), tmp_path / "a")

    with pytest.raises(ValueError, match="read-only"):
        read.array("bias")[0] = 1.0


def test_a_new_version_replaces_the_old_one_and_leaves_nothing_behind(tmp_path):
    artifact.write(draft(), tmp_path / "a")
    artifact.write(draft(bias=np.array([9.0])), tmp_path / "a")

    assert artifact.read(tmp_path / "a").array("bias").tolist() == [9.0]
    assert len(list((tmp_path / "a").iterdir())) == 3


def test_a_write_that_dies_leaves_the_old_version(tmp_path, monkeypatch):
    artifact.write(draft(), tmp_path / "a")
    put = artifact._put

    def dies(directory, name, data):
        if name == MANIFEST:
            raise OSError(28, "No space left on device")
        put(directory, name, data)

    monkeypatch.setattr(artifact, "_put", dies)

    with pytest.raises(ArtifactUnwritable, match="No space left"):
        artifact.write(draft(bias=np.array([9.0])), tmp_path / "a")
    assert artifact.read(tmp_path / "a").array("bias").tolist() == [0.5, -0.25]
    assert len(list((tmp_path / "a").iterdir())) == 3


def test_readers_see_one_version_or_the_other_while_it_is_replaced(tmp_path):
    place = tmp_path / "a"
    artifact.write(draft(bias=np.full(2, 0.0)), place)
    enough = threading.Event()

    def replacing():
        number = 0
        while not enough.is_set():
            number += 1
            artifact.write(draft(bias=np.full(2, float(number)), weights=np.full((3, 4), number, np.float32)), place)

    writer = threading.Thread(target=replacing)
    writer.start()
    reads, versions = 0, set()
    try:
        while reads < 60 or len(versions) < 5:  # whichever of the two gets less of the processor
            read = artifact.read(place)
            assert read.array("weights")[0, 0] in (0.0, read.array("bias")[0])
            reads += 1
            versions.add(float(read.array("bias")[0]))
    finally:
        enough.set()
        writer.join()


def test_a_directory_with_other_things_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(ArtifactUnwritable, match=r"thesis\.txt"):
        artifact.write(draft(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_is_no_place_for_an_artifact(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(ArtifactUnwritable, match="it is a file"):
        artifact.refuse_place(tmp_path / "file")


@pytest.mark.parametrize("array", [np.array(["text"]), np.array([object()]), np.array([1 + 2j]), np.array(["2026-01-01"], dtype="datetime64[D]")])
def test_only_numbers_are_written(tmp_path, array):
    with pytest.raises(ValueError, match="numbers only"):
        artifact.write(draft(one=array), tmp_path / "a")


@pytest.mark.parametrize("name", ["../escape", "/etc/passwd", "", "a b", "x" * 200, ".hidden"])
def test_names_of_arrays_are_plain(tmp_path, name):
    with pytest.raises(ValueError, match="name of an array"):
        artifact.write(draft(**{name: np.zeros(1)}), tmp_path / "a")


def test_nothing_there_says_what_makes_one(tmp_path):
    with pytest.raises(ArtifactRefused, match=r"no such directory; `pointsman train"):
        artifact.read(tmp_path / "absent")
    with pytest.raises(ArtifactRefused, match=r"no manifest\.json"):
        artifact.read(tmp_path)


def test_another_format_is_refused_with_both_versions(tmp_path):
    artifact.write(draft(), tmp_path / "a")
    altered(tmp_path / "a", lambda manifest: manifest.update(format=7))

    with pytest.raises(ArtifactOfAnotherVersion, match="its format is 7, this Pointsman has 1"):
        artifact.read(tmp_path / "a")


def test_other_features_are_refused_with_both_versions(tmp_path):
    read = artifact.write(draft(), tmp_path / "a")

    read.require("static", "abc")
    with pytest.raises(ArtifactOfAnotherVersion, match=r"features\.static is 'abc', this Pointsman has 'def'"):
        read.require("static", "def")


def test_a_changed_file_is_refused(tmp_path):
    artifact.write(draft(), tmp_path / "a")
    file = next((tmp_path / "a").glob("bias.*"))
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))

    with pytest.raises(ArtifactRefused, match="was changed"):
        artifact.read(tmp_path / "a")


def test_a_missing_file_is_refused(tmp_path):
    artifact.write(draft(), tmp_path / "a")
    next((tmp_path / "a").glob("bias.*")).unlink()

    with pytest.raises(ArtifactRefused, match="is missing"):
        artifact.read(tmp_path / "a")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "manifest.json", "weights.npy"])
def test_a_manifest_cannot_point_elsewhere(tmp_path, name):
    artifact.write(draft(), tmp_path / "a")
    altered(tmp_path / "a", lambda manifest: manifest["arrays"]["bias"].update(file=name))

    with pytest.raises(ArtifactRefused, match="no name of an array's file"):
        artifact.read(tmp_path / "a")


@pytest.mark.parametrize("change", [
    {"shape": [3]}, {"shape": [-2]}, {"shape": [1] * 40}, {"dtype": "<f4"}, {"dtype": "|O"}, {"dtype": "<U9"}, {"shape": [2**62, 4]},
], ids=str)
def test_a_manifest_that_lies_about_an_array_is_refused(tmp_path, change):
    artifact.write(draft(), tmp_path / "a")
    altered(tmp_path / "a", lambda manifest: manifest["arrays"]["bias"].update(change))

    with pytest.raises(ArtifactRefused, match="bias"):
        artifact.read(tmp_path / "a")


def test_an_array_shorter_than_its_head_says_is_refused(tmp_path):
    artifact.write(draft(), tmp_path / "a")
    file = next((tmp_path / "a").glob("bias.*"))
    data = file.read_bytes()[:-8]
    file.write_bytes(data)
    altered(tmp_path / "a", lambda manifest: manifest["arrays"]["bias"].update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest()))

    with pytest.raises(ArtifactRefused, match="does not hold"):
        artifact.read(tmp_path / "a")


def test_a_pickle_is_never_read(tmp_path):
    artifact.write(draft(), tmp_path / "a")
    file = next((tmp_path / "a").glob("bias.*"))
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    data = file.read_bytes()
    altered(tmp_path / "a", lambda manifest: manifest["arrays"]["bias"].update(
        bytes=len(data), sha256=hashlib.sha256(data).hexdigest(), dtype="|O", shape=[1]))

    with pytest.raises(ArtifactRefused, match="bias"):
        artifact.read(tmp_path / "a")


def test_sizes_are_bounded_before_anything_is_read(tmp_path):
    artifact.write(draft(), tmp_path / "a")
    altered(tmp_path / "a", lambda manifest: manifest["arrays"]["bias"].update(bytes=artifact.MAX_BYTES + 1))

    with pytest.raises(ArtifactRefused, match="at most"):
        artifact.read(tmp_path / "a")


def test_a_huge_manifest_is_not_read(tmp_path):
    (tmp_path / MANIFEST).write_bytes(b" " * (artifact.MAX_MANIFEST_BYTES + 1))

    with pytest.raises(ArtifactRefused, match="no file of at most"):
        artifact.read(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "not json", '{"format": "one"}', '{"format": 1}', '{"format": 1, "arrays": {"a": 3}}', "[" * 100_000])
def test_what_is_no_manifest_is_refused(tmp_path, text):
    (tmp_path / MANIFEST).write_text(text)

    with pytest.raises(ArtifactRefused, match=r"manifest\.json"):
        artifact.read(tmp_path)


def test_a_pipe_instead_of_a_file_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / MANIFEST)

    with pytest.raises(ArtifactRefused, match="no file"):
        artifact.read(tmp_path)


def test_what_the_artifact_writes_itself_is_not_the_drafts_to_say(tmp_path):
    with pytest.raises(ValueError, match="format"):
        artifact.write(ArtifactDraft({"format": 3}, {}), tmp_path / "a")


def test_repr_tells_version_and_size(tmp_path):
    read = artifact.write(draft(), tmp_path / "a")

    assert repr(read) == f"<Artifact {tmp_path / 'a'} {read.digest[:12]} [2 arrays]>"


def test_a_place_below_a_file_is_refused_before_an_hour_of_training(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(ArtifactUnwritable, match="is a file"):
        artifact.refuse_place(tmp_path / "file" / "made")


def test_a_place_where_nothing_may_be_written_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(artifact.os, "access", lambda place, mode: place != tmp_path)

    for place in (tmp_path, tmp_path / "a" / "b"):
        with pytest.raises(ArtifactUnwritable, match="nothing may be written"):
            artifact.refuse_place(place)
