"""Whatever the text, the compiled kernel reads what the numpy code reads, and scores it alike."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pointsman.artifact import Artifact, read
from pointsman.classify import features
from pointsman.classify.classifier import default_artifact
from pointsman.classify.embedders.static import END_CHARS, Static, Table, shipped_static
from pointsman.classify.heads import ladder, ngrams, signs, surface
from pointsman.classify.heads.ladder import Ladder
from pointsman.classify.heads.query import Query
from pointsman.classify.heads.reading import points
from pointsman.classify.heads.scorer import Scorer, features_version
from pointsman.classify.heuristic import Heuristic
from pointsman.classify.heuristic import Table as Weights
from pointsman.classify.kernel.build import found
from pointsman.classify.kernel.head import BLOCKS
from pointsman.core.request import ChatRequest, Kind, Message, Needs

pytestmark = pytest.mark.skipif(found().module is None, reason=f"kernel: {found()}")

words = st.sampled_from(["the", "Refund", "7", "1234567", "٣٤٥", "naïve", "ΑΣ", "İstanbul", "don't", "x_1", "日本の首都", "🙂", "\ud800", "²", "a" * 70, "\nA)", "\nB.", "\nC:", "\nD)", "\nA",
                         "qzxv", "\0", "\x85", "\x1f", " ", "\n", "??", ",", "()", "é" * 700, "ﬀ", "0", "00", "000000"])
text = (st.text(max_size=300) | st.lists(words, max_size=60).map("".join) | st.lists(words, max_size=60).map(" ".join)
        | st.binary(max_size=300).map(lambda raw: raw.decode("latin-1")) | st.text(st.characters(codec=None, categories=["Cs", "Lu", "Nd"]), max_size=40))
"""Any characters, lone surrogates too; words of many scripts side by side and apart; bytes; and (`times`) pages of all these."""
times = st.sampled_from([1, 1, 1, 7, 400])
few = settings(max_examples=300, deadline=None)


@few
@given(text=text, times=times)
@example("x" * (2 * END_CHARS), 1)
@example("İ" * (2 * END_CHARS + 1), 1)
@example("\U0001f642 q" * 1024, 1)
@example("".join(map(chr, range(0x3000, 0x3000 + 2 * END_CHARS))), 1)
@example(" ".join(chr(0x4E00 + at) for at in range(2 * END_CHARS)), 1)
def test_a_text_has_the_same_rows(text, times):
    static = shipped_static()
    known, heard = static.rows_of(text * times)

    assert static.compiled.rows(text * times) == (known, heard.tolist())


@few
@given(data=text.map(lambda text: text.encode("utf-8", "replace")) | st.binary(max_size=400), times=times)
@example(b"a" * (ngrams.HEAD + ngrams.TAIL), 1)
@example(b"?" * (ngrams.HEAD + ngrams.TAIL + 1), 1)
@example(bytes(range(256)), 13)
def test_bytes_have_the_same_buckets_and_counts(data, times):
    ids, counts = ngrams.ids(data * times)

    assert found().module.ids(data * times, ngrams.KIND_OF.tobytes(), ngrams.CODE_OF.tobytes()) == (ids.tolist(), counts.tolist())


@few
@given(data=text.map(lambda text: text.encode("utf-8", "replace")) | st.binary(max_size=400), times=times, more=st.integers(0, 2**40))
def test_the_same_is_counted(data, times, more):
    chars = len(data * times) + more

    assert found().module.surface(data * times, chars) == surface.read(data * times, chars, ())[-len(surface.NAMES) + len(surface.STRUCTURAL):]


@few
@given(text=text, times=times)
def test_a_text_has_the_same_vector(text, times):
    static = shipped_static()
    vector = np.frombuffer(static.compiled.embed(text * times), np.float32)

    assert vector == pytest.approx(static.embed_one(text * times), abs=1e-5)


def an_artifact(seed: int, models: int, dims: int, marks: int, blocks: tuple[str, ...], near: str, has_tokens: bool, static: Static) -> Artifact:
    """Numbers at random, in the shapes of a trained artifact."""
    rng = np.random.default_rng(seed)
    columns, looks = models * (2 if has_tokens else 1), len(surface.NAMES)
    divisions = [1, 3, 5]
    arrays = {
        "surface.centre": rng.normal(size=looks), "surface.spread": rng.random(looks) + 0.02,
        "ngrams.idf": np.maximum(0.0, word_weights(1)[:, 0] + 0.5),
        "kinds.centres": rng.normal(size=(sum(divisions), static.dims + looks)).astype(np.float32), "kinds.divisions": np.array(divisions),
        "static.landmarks": unit(rng, marks, static.dims).astype(np.float16), "static.masses": rng.integers(1, 5, marks).astype(np.float32),
        "sentence.landmarks": unit(rng, marks + 1, dims).astype(np.float16), "sentence.masses": rng.integers(1, 5, marks + 1).astype(np.float32),
    }
    widths = dict(zip(BLOCKS, (looks, surface.LENGTH.stop - surface.LENGTH.start, sum(divisions), static.dims, marks, dims, marks + 1), strict=True))
    for name in ("static", "full"):
        arrays |= {f"{name}.{block}.weights": rng.normal(size=(widths[block], columns)).astype(np.float32) * 0.1 for block in blocks}
        arrays |= {f"{name}.ngrams.weights": word_weights(columns), f"{name}.bias": rng.normal(size=columns),
                   f"{name}.error": rng.random(models) * 0.1, f"{name}.curves": np.sort(rng.random((193, models)), axis=0)}
    stack = {"blocks": list(blocks), "near": near, "error_slope": -0.2, "tokens": has_tokens}
    plain = stack | {"blocks": [block for block in blocks if "sentence" not in block], "near": "static"}
    return Artifact({"models": [f"m{at}" for at in range(models)], "features": {**features_version(static), "sentence": {"name": "s", "digest": ""}},
                     "stacks": {"static": plain, "full": stack}, "limits": {kind: {"nearest": 0.3, "known": 0.5} for kind in ("static", "sentence")}},
                    arrays, "0" * 64, Path("memory"))


@cache
def word_weights(columns: int):
    return np.random.default_rng(columns).normal(size=(ngrams.BUCKETS, columns)).astype(np.float16)


def unit(rng, rows, dims):
    made = rng.normal(size=(rows, dims))
    return made / np.linalg.norm(made, axis=1)[:, None]


def a_static(dims: int) -> Static:
    rng = np.random.default_rng(dims)
    rows = rng.integers(-127, 128, (5 + 64, dims)).astype(np.int8)
    return Static(Table(("0", "00", "cat", "dog", "?"), rows, np.full(len(rows), 0.01, np.float32)), "digest")


@settings(max_examples=150, deadline=None)
@given(text=text, times=times, seed=st.integers(0, 9), models=st.integers(1, 9), dims=st.sampled_from([1, 7, 16, 384]), marks=st.sampled_from([1, 3, 17, 200]),
       blocks=st.permutations(BLOCKS).flatmap(lambda order: st.integers(1, len(order)).map(lambda upto: tuple(order[:upto]))),
       near=st.sampled_from(["static", "sentence"]), has_tokens=st.booleans(), rows=st.sampled_from([1, 8, 37, 128]))
def test_any_artifact_scores_alike(text, times, seed, models, dims, marks, blocks, near, has_tokens, rows):
    static = a_static(rows)
    blocks = (*blocks, "surface") if not any("sentence" not in block for block in blocks) else blocks
    made = an_artifact(seed, models, dims, marks, blocks, near, has_tokens, static)
    compiled, plain = Scorer.load(made, static), Scorer.load(made, static, kernel=False)
    query = Query.of_prompt(text * times)

    for vector in (None, unit(np.random.default_rng(seed), 1, dims)[0].astype(np.float32)):
        ours, theirs = compiled.row(query, vector), plain.row(query, vector)
        if "kinds" in blocks and is_undecided(plain, query):
            return  # two kinds are equally near, and rounding decides
        for name in ("p", "lower"):
            assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-5, abs=3e-4), "curves at random are steep"
        # A tenth power of a nearness, of vectors whose rows may nearly cancel each other.
        assert ours.evidence == pytest.approx(theirs.evidence, rel=1e-3, abs=1e-5)
        assert ours.is_foreign == theirs.is_foreign
        assert (ours.tokens is None) == (theirs.tokens is None) == (not has_tokens)
        assert list(ours.tokens or ()) == pytest.approx(list(theirs.tokens or ()), rel=1e-4, abs=1e-4)


def is_undecided(scorer: Scorer, query: Query) -> bool:
    reader = scorer._reader
    static = scorer._static.embed((query.text,))
    likeness = (points(reader.surface((query,)), static) @ reader.centres.T - reader.halves)[0]
    for first, last in reader.divisions:
        best = np.sort(likeness[first:last])
        if len(best) > 1 and best[-1] - best[-2] < 1e-3:
            return True
    return False


@few
@given(text=text, times=times)
def test_a_text_scores_the_same_bits_alone_and_among_others(text, times):
    query, other = Query.of_prompt(text * times), Query.of_prompt("another one, in between")
    scorer = scorer_of_many()
    alone, together = scorer.score_one(query), scorer.score([other, query, other])

    assert alone.p.tobytes() == together.p[1:2].tobytes()
    assert alone.lower.tobytes() == together.lower[1:2].tobytes()
    assert np.array(scorer.row(query).p).tobytes() == alone.p.tobytes()


@cache
def scorer_of_many() -> Scorer:
    return Scorer.load(an_artifact(1, 3, 384, 200, ("surface", "length", "kinds", "static.near"), "static", True, shipped_static()))


# -- what is the same bit for bit: features, the heuristic, the shipped guess

tokens = st.sampled_from([
    "the ", "Refund ", "7", " 1234567 ", "3.14", "1,000", "\n(A) x", "\nB. y", "\n \tc:  z", "\nD)", "\nj)\n", "??", "???", "？", "，", "、", "،", "日本。", "。", "привет ",
    "שלום ", "สวัสดี ", "🙂", "\ud800", "write a python function ", "fix the query in go ", "prove that ", "prove to my bank that ", "He has six apples. ", "how many ",
    "é", "\0", "the\0 ", "\t", "\x0b", "\x1c", "\x85", "_", "___ ", "x=2 ", "\nplease. ", "must exactly such that different ", "? ", ". ", "! ", ": ", "hi ", "my order ",
    "a" * 17 + " ", "altogether ", "translate ", "```", "\\frac", "$x^2$", "THE ", "[]{}<>()", "+*=^%|", "'\"`", "what is the weather ", "step by step "])
wording = text | st.lists(tokens, max_size=60).map("".join)
many = settings(max_examples=250, deadline=None)


@many
@given(wording=wording, times=times, turns=st.integers(0, 40), tools=st.sampled_from([0, 1, 2, 7, 10**6]), images=st.integers(0, 2), schema=st.booleans())
@example("?" * 9, 1, 0, 0, 0, False)
@example("a" * 8192 + "é" * 8192, 1, 0, 0, 0, False)
def test_a_request_has_the_same_features_bit_for_bit(wording, times, turns, tools, images, schema):
    request = ChatRequest(Kind.CHAT, b"", "auto", (*(Message("user", "before") for _ in range(turns)), Message("user", wording * times)),
                          tools=tools, images=images, needs=Needs(json_schema=schema))
    ours, theirs = features.read(request), features.read_plainly(request)

    assert bits(ours.numbers) == bits(theirs.numbers)
    assert ours == theirs


@many
@given(numbers=st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.25, 0.5, 1.0]) | st.floats(0, 1), min_size=29, max_size=29).map(tuple), seen=st.integers(0, 10**9),
       script=st.sampled_from([None, "cjk", "indic/thai"]), rungs=st.integers(1, 9), seed=st.integers(0, 5))
def test_features_are_judged_alike_bit_for_bit(numbers, seen, script, rungs, seed):
    rng = np.random.default_rng(seed)
    weights = {name: float(weight) for name, weight in zip(features.NAMES, rng.choice([-1.5, -0.5, -0.5, 0.2, 1.0], 29), strict=True) if weight != 0.2}
    table = Weights(weights, 0.3, (0.0, 1.0), (-1.0, 2.0), 9)
    heuristic = Heuristic([f"t{at}" for at in range(rungs)], table if seed else None)
    ours, theirs = heuristic._judge(numbers, seen, script), heuristic.judge(numbers, seen, script)

    assert heuristic._judge != heuristic.judge
    assert ours[1] == theirs[1]
    assert bits(ours[0]) == bits(theirs[0])


@many
@given(data=(wording.map(lambda text: text.encode("utf-8", "replace")) | st.binary(max_size=400)), times=times, more=st.sampled_from([0, 0, 1, 10**6, 2**62]))
@example(b"\n(a) x\nb. " + b"y" * 3072, 1, 0)
@example(b"a " * 1537, 1, 0)
@example(b"a b" * 1024, 1, 0)
@example(b"", 1, 5)
@example(b"thethetheRefund\nA\0" + "é".encode() * 700, 1, 2**62)  # a length that no double holds
def test_the_same_signs_are_counted_bit_for_bit(data, times, more):
    data *= times
    guess = shipped_ladder(True)._score.__self__

    assert bits(guess.signs(data, len(data) + more)) == bits(signs.counted(data, len(data) + more))
    core = ladder._core(Query("", data, len(data) + more, ()))
    assert guess.core(data) == (0 if core is None else len(core.data))


@many
@given(wording=wording, times=times, tools=st.integers(0, 3))
@example("Tell me. " * 400, 1, 0)
def test_the_shipped_guess_is_the_same_bit_for_bit(wording, times, tools):
    query = Query.of(ChatRequest(Kind.CHAT, b"", "auto", (Message("user", wording * times),), tools=tools))

    assert bits(shipped_ladder(True).row(query).p) == bits(shipped_ladder(False).row(query).p)


@cache
def shipped_ladder(kernel: bool) -> Ladder:
    return Ladder(read(default_artifact()), kernel=kernel)


def bits(numbers) -> bytes:
    return np.array(numbers, dtype=np.float64).tobytes()
