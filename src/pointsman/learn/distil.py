"""Makes the static table: `python -m pointsman.learn.distil DATA --glosses DIR --out FILE`.

A sentence model reads many texts once; then every word gets the row with which sums of rows point where the model
points. That is one ridge regression of the teacher's vectors (turned to their main axes and cut to `dims`) on which
words a text holds, solved by conjugate gradients. No stop list and no frequency formula is needed: a word that says
nothing gets a short row.

Why pieces are fitted twice: rare words of the texts teach them, and so do all known words, each as if it were unknown.
So a typo of a known word, and an unseen form of it, land near it.

DATA holds `outcomes/*.parquet` (rows of split `train` that overlap no public test are read, AlpacaEval's never) and
`traffic/prompts.parquet`. DIR holds WordNet's `data.noun`, `data.verb`, `data.adj`, `data.adv` (Princeton licence;
Debian's package wordnet-base): definitions and examples, so that the table knows more words than benchmarks use.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import sparse

from pointsman.classify.embedders.embedder import Embedder
from pointsman.classify.embedders.sentence import load_sentence
from pointsman.classify.embedders.static import NUMBER_DIGITS, Static, Table, from_bytes, pieces, spelled, to_bytes

Floats = NDArray[np.float32]

DIMS = 128
"""Of the table: 128 keep 80 % of the teacher's energy, 96 72 %. On dev splits (1,000 labels, a ridge on vectors alone, mean
correlation with how well models do) 128 reached .374, 96 .355, the teacher itself .379."""
WORDS, BUCKETS = 20_000, 8_192
"""Rows: 28,192 x 128 bytes are 3.6 MB, under the 4 MB that a checkout should carry for this."""
PENALTY = 10.0
"""Ridge, in texts: how many must hold a word before it is heard. Weaker ones imitate the teacher more closely (cosine .82 at
1, .78 at 10) and are worse to learn from (.328 and .355 as above): they listen to names. 30 forgets what intents are about."""
PIECE_PENALTY = 10.0
"""The same for pieces. At 1 a typo costs half as much again."""
TASK_WEIGHT = 4.0
"""What a whole task of `outcomes` counts for beside a request of the traffic, a sentence or a definition."""
STEPS = 25
PARTS_PER_TEXT = 4
PARTS, GLOSSES = 36_000, 40_000
"""How many sentences of the texts, and how many definitions and examples, are read beside the whole texts."""
SOURCES = ("routerbench", "llmrouter", "reasoning_gym", "mmlu_pro")


def corpus(data: Path, glosses: Path | None, rng: random.Random) -> list[str]:
    """Every text the teacher reads, whole texts first, without repetition."""
    whole = tasks(data)
    whole += pq.read_table(data / "traffic" / "prompts.parquet", columns=["prompt"])["prompt"].to_pylist()
    parts = list(dict.fromkeys(part for text in whole for part in _parts(text, rng)))
    said = list(_said(glosses, rng)) if glosses else []
    for texts in (parts, said):
        rng.shuffle(texts)
    return list(dict.fromkeys([*whole, *parts[:PARTS], *said[:GLOSSES]]))


def tasks(data: Path) -> list[str]:
    """The whole tasks among the texts, which count for more."""
    return [prompt for source in SOURCES for prompt in _training_prompts(data / "outcomes" / f"{source}.parquet")]


def _training_prompts(path: Path) -> Iterable[str]:
    table = pq.read_table(path, columns=["prompt", "split", "overlaps_public_test"]).to_pydict()
    rows = zip(table["prompt"], table["split"], table["overlaps_public_test"], strict=True)
    return [prompt for prompt, split, overlaps in rows if split == "train" and not overlaps]


def _parts(text: str, rng: random.Random) -> list[str]:
    """A few sentences of a text: short pairs tell which word says what."""
    parts = [part.strip() for part in re.split(r"(?<=[.!?:])\s+|\n+", text)]
    fit = [part for part in parts if 3 <= len(part.split()) <= 60]
    return rng.sample(fit, min(PARTS_PER_TEXT, len(fit))) if len(fit) > 1 else []


def _said(folder: Path, rng: random.Random) -> Iterable[str]:
    """WordNet's definitions with their word, and one example of each: https://wordnet.princeton.edu/documentation/wndb5wn"""
    for kind in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{kind}").read_text("utf-8").splitlines():
            head, bar, gloss = line.partition(" | ")
            if line.startswith("  ") or not bar:
                continue
            word, meaning = head.split()[4].replace("_", " "), gloss.strip().split('; "')[0]
            yield f"{word}: {meaning}"
            if examples := re.findall(r'"([^"]+)"', gloss):
                yield rng.choice(examples)


def vocabulary(texts: Iterable[str], size: int) -> tuple[str, ...]:
    """Noughts for numbers of each length, then the words that most texts hold; a word of one text is none."""
    counts = Counter(word for text in texts for word in spelled(text) if not word.isdecimal() and len(word) <= 24)
    numbers = ["0" * digits for digits in range(1, NUMBER_DIGITS + 1)]
    common = sorted(counts.items(), key=lambda counted: (-counted[1], counted[0]))[: size - len(numbers)]
    return (*numbers, *(word for word, count in common if count > 1))


def distil(
    texts: Sequence[str], vectors: Floats, weights: Floats | None = None, *, dims: int = DIMS, words: int = WORDS,
    buckets: int = BUCKETS,
) -> bytes:
    """The file of the table that imitates `vectors`, the teacher's, row for row of `texts`; a text may weigh more."""
    known = vocabulary(texts, words)
    loud = np.sqrt(np.ones(len(texts), np.float32) if weights is None else weights)[:, None]
    goal = vectors * loud
    goal = goal @ axes(goal, dims)
    blank = Static(Table(known, np.zeros((len(known) + buckets, dims), np.int8), np.ones(1, np.float32)), "")
    seen = occurrences(blank, texts).multiply(loud).tocsr()
    as_words, as_unknown = seen[:, : len(known)], seen[:, len(known) :]
    rows = ridge(seen, goal, PENALTY)[: len(known)]
    heard = ridge(
        sparse.vstack([as_pieces(known, buckets), as_unknown]).tocsr(),
        np.concatenate([rows, goal - as_words @ rows]), PIECE_PENALTY)
    return to_bytes(rounded(known, np.concatenate([rows, heard])))


def axes(vectors: Floats, dims: int) -> Floats:
    """The directions that hold most of the vectors' energy, strongest first; signs made the same on every machine."""
    _, found = np.linalg.eigh(vectors.T.astype(np.float64) @ vectors.astype(np.float64))
    main = found[:, ::-1][:, :dims]
    signs = np.sign(main[np.abs(main).argmax(axis=0), np.arange(dims)])
    turned: Floats = (main * signs).astype(np.float32)
    return turned


def occurrences(static: Static, texts: Iterable[str]) -> sparse.csr_matrix:
    """Which rows each text adds up, scaled to one: long texts do not count for more."""
    found = [np.concatenate([np.array(known, np.intp), heard]) for known, heard in map(static.rows_of, texts)]
    return _rows_of_ones(found, len(static))


def as_pieces(words: Iterable[str], buckets: int) -> sparse.csr_matrix:
    """Each word as the table would hear it if it did not know it."""
    return _rows_of_ones([pieces([word], buckets) for word in words], buckets, scaled=False)


def _rows_of_ones(found: Sequence[NDArray[np.intp]], columns: int, *, scaled: bool = True) -> sparse.csr_matrix:
    sizes = np.array([len(row) for row in found])
    each = np.repeat(1 / np.sqrt(np.maximum(sizes, 1)) if scaled else np.ones(len(sizes)), sizes).astype(np.float32)
    ends = np.concatenate([[0], sizes.cumsum()])
    matrix = sparse.csr_matrix((each, np.concatenate(found), ends), shape=(len(found), columns))
    matrix.sum_duplicates()
    return matrix


def ridge(given: sparse.csr_matrix, goal: Floats, penalty: float, steps: int = STEPS) -> Floats:
    """Rows that minimise ||given rows - goal||^2 + penalty ||rows||^2: conjugate gradients, every column at once."""
    back = given.T.tocsr()
    weight = (1 / (np.asarray(given.multiply(given).sum(axis=0)).ravel() + penalty))[:, None].astype(np.float32)
    left = back @ goal
    rows = np.zeros_like(left)
    way = near = weight * left
    size = (left * near).sum(axis=0)
    for _ in range(steps):
        moved = back @ (given @ way) + np.float32(penalty) * way
        step = size / np.maximum((way * moved).sum(axis=0), 1e-20)
        rows, left = rows + step * way, left - step * moved
        near = weight * left
        size, before = (left * near).sum(axis=0), size
        way = near + size / np.maximum(before, 1e-20) * way
    found: Floats = rows.astype(np.float32)
    return found


def rounded(words: tuple[str, ...], rows: Floats) -> Table:
    """The rows as eight-bit numbers, each with its own step."""
    scale = np.maximum(np.abs(rows).max(axis=1) / 127, 1e-6).astype(np.float16).astype(np.float32)
    return Table(words, np.clip(np.rint(rows / scale[:, None]), -127, 127).astype(np.int8), scale)


def taught(teacher: Embedder, texts: Sequence[str], progress: Callable[[str], None], chunk: int = 2000) -> Floats:
    """The teacher's vectors, in half precision's room."""
    out = np.empty((len(texts), teacher.dims), np.float16)
    for at in range(0, len(texts), chunk):
        out[at : at + chunk] = teacher.embed(texts[at : at + chunk])
        progress(f"{teacher.name} has read {min(at + chunk, len(texts)):,} of {len(texts):,} texts")
    return out.astype(np.float32)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Makes the table of the static embedder.")
    parser.add_argument("data", type=Path, help="folder with outcomes/ and traffic/")
    parser.add_argument("--glosses", type=Path, help="folder with WordNet's data files")
    parser.add_argument("--teacher", default="l6")
    parser.add_argument("--out", type=Path, required=True)
    said = parser.parse_args(arguments)
    texts = corpus(said.data, said.glosses, random.Random(0))
    teacher = load_sentence(said.teacher, tokens=128)
    vectors = taught(teacher, texts, lambda line: print(line, file=sys.stderr))  # noqa: T201  its progress
    whole = set(tasks(said.data))
    raw = distil(texts, vectors, np.array([TASK_WEIGHT if text in whole else 1.0 for text in texts], np.float32))
    said.out.write_bytes(raw)
    print(f"{said.out}: {from_bytes(raw)}, {len(raw):,} bytes, sha256 {from_bytes(raw).digest}")  # noqa: T201  its result


if __name__ == "__main__":
    main()
