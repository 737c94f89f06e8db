import re
from pathlib import Path

from pointsman.classify.embedders.recipe import RECIPES

REQUIREMENTS = Path(__file__).resolve().parents[4] / "requirements"


def test_what_is_wanted_is_what_is_locked():
    locked = (REQUIREMENTS / "embed.txt").read_text("utf-8")

    for recipe in RECIPES:
        for origin in (recipe.weights, recipe.tokenizer):
            assert f"\n{origin.requirement.lower()} " in f"\n{locked}"


def test_keys_and_names_are_told_apart_and_digests_are_digests():
    said = [word for recipe in RECIPES for word in (recipe.key, recipe.name, recipe.built_sha256)]

    assert len(set(said)) == len(said)
    for recipe in RECIPES:
        for digest in (recipe.built_sha256, recipe.weights.sha256, recipe.tokenizer.sha256):
            assert re.fullmatch(r"[0-9a-f]{64}", digest)
