"""A trained classifier read from disk, or a configuration error that says why not."""

import numpy as np
import pytest

from pointsman import artifact
from pointsman.classify import classifier as module
from pointsman.classify.classifier import classifier_of, load
from pointsman.classify.kernel import build
from pointsman.core.settings import ClassifierSettings, RouteSettings
from pointsman.errors import ConfigError
from pointsman.learn.fit import fit
from pointsman.learn.table import OutcomeTable
from pointsman.testing.factories import a_pool, a_settings


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    prompts = [f"What is {i} plus {i}?" if i % 2 else f"Prove that {i} is odd." for i in range(40)]
    quality = np.array([[float(i % 2), 1.0] for i in range(40)])
    draft = fit(OutcomeTable([str(i) for i in range(40)], prompts, ("small", "large"), quality), seed=1, sentence=None,
                progress=lambda stage, done: None)
    return artifact.write(draft, tmp_path_factory.mktemp("own") / "artifact").path


def settings(path, **classifier):
    route = RouteSettings("auto", ("small", "large"), "large", pipeline=("rules", "embedding"))
    return a_settings(a_pool("small"), a_pool("large"), route=route, classifier=ClassifierSettings(str(path), **classifier))


def test_nothing_is_read_for_routes_that_do_not_ask(tmp_path):
    plain = a_settings(a_pool("small"), classifier=ClassifierSettings(str(tmp_path / "missing")))

    assert classifier_of(plain) is None


def test_an_own_artifact_is_no_guess(directory):
    found = classifier_of(settings(directory))

    assert (found.models, found.is_generic, found.sentence) == (("small", "large"), False, None)
    assert "trained without a sentence embedder" in found.why_no_sentence
    assert repr(found) == f"<Classifier {found.version} [own, 2 columns, sentence off]>"


def test_an_own_artifact_says_what_may_be_lost(directory, tmp_path):
    found = classifier_of(settings(enough(tmp_path)))
    columns = {"small": ((0, 1.0),), "large": ((1, 1.0),)}
    told = found.allowances(columns, ["small", "large"])

    assert set(told) == {"small", "large"}
    assert told["large"][0] > told["large"][-1]
    assert classifier_of(settings(directory)).allowances(columns, ["small", "large"]) == {}  # 40 labels say too little


def test_a_guess_and_a_mixture_of_columns_allow_nothing(tmp_path):
    found = classifier_of(settings(enough(tmp_path)))

    assert found.allowances({"small": ((0, 0.5), (1, 0.5)), "large": ((1, 1.0),)}, ["small", "large"]) == {}
    assert module.Classifier(found.scorer, version="1", is_generic=True, rehearsals=found.rehearsals).allowances({"large": ((1, 1.0),)}, ["large"]) == {}


def enough(tmp_path):
    """An artifact of so many labels that they can speak for it."""
    prompts = [f"What is {i} plus {i}?" if i % 2 else f"Prove that {i} is odd." for i in range(200)]
    quality = np.array([[float(i % 2 or i % 10 == 0), float(i % 20 > 0)] for i in range(200)])
    draft = fit(OutcomeTable([str(i) for i in range(200)], prompts, ("small", "large"), quality), seed=1, sentence=None,
                progress=lambda stage, done: None)
    return artifact.write(draft, tmp_path / "enough").path


def test_the_same_artifact_is_not_read_into_memory_twice(directory):
    found = classifier_of(settings(directory))

    assert classifier_of(settings(directory), found) is found
    assert found.kernel == found.scorer.kernel == str(build.found())
    assert classifier_of(settings(directory, sentence="off"), found) is not found


@pytest.mark.parametrize(("path", "message"), [
    ("missing", r"pointsman\.yaml: classifier\.artifact: .*there is no such directory.*name another one"),
    (".", r"there is no manifest\.json")])
def test_what_is_no_artifact_is_a_configuration_error(tmp_path, path, message):
    with pytest.raises(ConfigError, match=message):
        load(ClassifierSettings(str(tmp_path / path)), "pointsman.yaml")


def test_a_damaged_file_is_a_configuration_error(directory, tmp_path):
    for file in directory.iterdir():
        data = file.read_bytes()
        (tmp_path / file.name).write_bytes(data if file.name == "manifest.json" else data[:-1] + b"\x7f")

    with pytest.raises(ConfigError, match=r"SHA-256 is not the manifest's"):
        load(ClassifierSettings(str(tmp_path)))


@pytest.mark.parametrize("name", ["l3", "l6", "/some/folder"])
def test_an_embedder_asked_for_by_name_must_serve(directory, name):
    with pytest.raises(ConfigError, match=r"classifier\.sentence: .* cannot serve: the artifact was trained without"):
        load(ClassifierSettings(str(directory), name))


def test_turned_off_is_turned_off_and_says_so(directory):
    assert load(ClassifierSettings(str(directory), "off")).why_no_sentence == "it is turned off"
    assert "decides nothing" in load(ClassifierSettings(str(directory)), with_sentence=False).why_no_sentence


def test_a_package_without_the_shipped_artifact_says_that_it_is_incomplete(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "default_artifact", lambda: tmp_path)

    with pytest.raises(ConfigError, match="the package is incomplete"):
        load(ClassifierSettings())
