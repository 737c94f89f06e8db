"""An embedder elsewhere, as the command line names it."""

import pytest

pytest.importorskip("sklearn")

from pointsman.core.settings import RemoteEmbedderSettings
from pointsman.errors import DataRefused
from pointsman.learn.embedders import in_manifest, sentence_of
from pointsman.learn.remote_embedder import is_remote, settings_of


def test_a_place_and_a_model_with_what_else_is_needed(monkeypatch):
    monkeypatch.setenv("EMBED_KEY", "s3cret")

    assert settings_of("http://a:8080/v1/#bge:small") == RemoteEmbedderSettings("http://a:8080/v1", "bge:small")
    assert settings_of("https://a/v1#org/m?dims=256&max_chars=900&key=os.environ/EMBED_KEY") == RemoteEmbedderSettings(
        "https://a/v1", "org/m", "s3cret", 256, max_chars=900)


@pytest.mark.parametrize(("name", "why"), [
    ("http://a/v1", "URL#MODEL"), ("http://a/v1#", "URL#MODEL"), ("http://u:p@a/v1#m", "URL#MODEL"), ("http:///v1#m", "URL#MODEL"),
    ("http://a:99999/v1#m", "no URL"), ("http://a/v1#m?dim=3", "'dim' says nothing"), ("http://a/v1#m?dims=many", "whole numbers"),
    ("http://a/v1#m?key=literal", "must not stand in the file"), ("http://a/v1#m?key=os.environ/NOT_SET_HERE", "is not set")])
def test_what_names_none_is_said_in_one_sentence(name, why):
    with pytest.raises(DataRefused, match=why):
        settings_of(name)


def test_a_folder_is_no_place_elsewhere():
    assert [is_remote(name) for name in ("http://a#m", "https://a#m", "folder/x", "l6", "auto")] == [True, True, False, False, False]


def test_one_that_does_not_answer_is_an_error_and_no_fallback(monkeypatch):
    monkeypatch.setattr("pointsman.learn.remote_embedder.REST_S", 0.0)

    with pytest.raises(DataRefused, match="gives no vectors"):
        sentence_of("http://127.0.0.1:9/v1#m")


def test_a_manifest_without_one_says_none():
    assert in_manifest(None) is None
