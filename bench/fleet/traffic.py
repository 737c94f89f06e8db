"""Who asks what, and when: the Azure 2023 and Mooncake traces as prompts, or a synthetic stand-in of the same shape.

The traces hold lengths and arrival times only (Mooncake also says which 512-token blocks of its prompts are shared),
so the text is made up here, deterministically:

- Every prompt has exactly the trace's length, at four bytes a token, the simulator's unit.
- Mooncake's blocks become text by their id, so prompts that share blocks share text, byte for byte. Its prompts are
  shrunk (`SHRINK`): a block of 512 tokens becomes one of 64. Block 0, which all prompts share, is the system prompt. Where a
  prompt goes on after an earlier one, it holds that one to its last word, then an answer as long as the trace says, then
  the next question: so a conversation grows by messages, as a client sends it.
- Azure's requests share nothing: the trace does not say what they share.

Arrivals keep their order and their burstiness; time is stretched or compressed to the rate that is asked for. Of Azure's
traces a window is played; Mooncake's is thinned by conversation (a share of its users, over the whole hour), since a
window would cut off the turns that come back later. Its times are rounded to 3 s; each arrival is moved to a random moment
of the 3 s after.

Without the files (`read` with `data` None) a synthetic trace of the same name stands in: log-normal lengths with the
medians and 90th percentiles of the real ones, gamma arrivals as bursty as theirs in 10 s windows, and for `mooncake`
conversations that grow by a turn and come back.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from random import Random

NAMES = ("conv", "code", "mooncake")
FILES = {"conv": "azure2023_conv.parquet", "code": "azure2023_code.parquet", "mooncake": "mooncake_conversation.parquet"}
SHRINK = 8
"""Mooncake's prompts are of a long-context service: 12,000 tokens on average. An eighth of that suits the fleet's GPU."""
BLOCK_TOKENS = 512 // SHRINK
MOST_TOKENS = 24_000
"""Longer prompts are cut: the model's context is 32,768."""
MOST_OUTPUT = 1000
_ROUNDED_S = 3.0

# (median, 90th percentile) of prompt and answer tokens, and the shape of the gamma distribution of gaps.
_SHAPES = {"conv": ((1020, 2735), (129, 424), 0.8), "code": ((1469, 5188), (13, 55), 0.1), "mooncake": ((0, 0), (44, 75), 0.6)}


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request of a trace."""

    at_s: float
    messages: tuple[tuple[str, str], ...]
    """(role, text)."""
    prompt_tokens: int
    output_tokens: int

    def body(self, model: str) -> bytes:
        """The request a client would send: streamed, and as many tokens as the trace says."""
        return json.dumps({
            "model": model, "messages": [{"role": role, "content": text} for role, text in self.messages],
            "max_tokens": self.output_tokens, "stream": True, "ignore_eos": True,
        }).encode()


def read(name: str, data: Path | None, *, count: int, skip: int = 0, seed: int = 0) -> list[Arrival]:
    """`count` arrivals of a trace after `skip`, at the trace's own times (first: 0). Shorter traces start over."""
    rng = Random(f"{name}/{seed}")
    rows = _synthetic(name, count, rng) if data is None else _rows(name, data, count, skip, rng)
    arrivals = _conversations(rows, rng) if name == "mooncake" else _strangers(rows, skip)
    began = arrivals[0].at_s
    return sorted((_moved(a, a.at_s - began) for a in arrivals), key=lambda a: a.at_s)


def at_rate(arrivals: list[Arrival], per_s: float) -> list[Arrival]:
    """The same arrivals, faster or slower."""
    span = arrivals[-1].at_s
    factor = len(arrivals) / per_s / span if span else 1.0
    return [_moved(a, a.at_s * factor) for a in arrivals]


def _moved(arrival: Arrival, at_s: float) -> Arrival:
    return Arrival(at_s, arrival.messages, arrival.prompt_tokens, arrival.output_tokens)


# -- rows: (seconds, prompt tokens, answer tokens, block ids)

Row = tuple[float, int, int, tuple[int, ...]]


def _rows(name: str, data: Path, count: int, skip: int, rng: Random) -> list[Row]:
    import pyarrow.parquet as pq

    folder = data / "traffic" if (data / "traffic").is_dir() else data
    table = pq.read_table(folder / FILES[name]).to_pydict()
    if name == "mooncake":
        ids = [tuple(json.loads(row)) for row in table["hash_ids"]]
        rows = list(zip((t / 1000 for t in table["timestamp"]), table["input_length"], table["output_length"], ids, strict=True))
        if count < len(rows):
            return _thinned(rows, count, rng)
    else:
        rows = [(t, p, o, ()) for t, p, o in zip(table["t_s"], table["ContextTokens"], table["GeneratedTokens"], strict=True)]
    span = rows[-1][0] + 1.0
    picked = []
    for i in range(skip, skip + count):
        lap, place = divmod(i, len(rows))
        t, prompt, output, blocks = rows[place]
        # Another lap is other people: they share the system prompt and nothing else.
        picked.append((t + lap * span, prompt, output, tuple(b if b == 0 else b + lap * 10_000_000 for b in blocks)))
    return picked


def _thinned(rows: list[Row], count: int, rng: Random) -> list[Row]:
    """Whole conversations (same second block), drawn at random, until there are `count` requests."""
    conversations: dict[tuple[int, ...], list[Row]] = {}
    for row in rows:
        conversations.setdefault(row[3][:2], []).append(row)
    order = list(conversations)
    rng.shuffle(order)
    picked: list[Row] = []
    for key in order:
        picked += conversations[key]
        if len(picked) >= count:
            break
    return sorted(picked, key=lambda row: row[0])[:count]


def _synthetic(name: str, count: int, rng: Random) -> list[Row]:
    prompt, output, shape = _SHAPES[name]
    rows: list[Row] = []
    now, fresh = 0.0, 1
    open_ones: list[tuple[int, ...]] = []
    for _ in range(count):
        now += rng.gammavariate(shape, 1.0 / shape)
        answer = _lognormal(output, rng)
        if name != "mooncake":
            rows.append((now, _lognormal(prompt, rng), answer, ()))
            continue
        # Four of ten requests go on where an earlier one stopped.
        old = open_ones.pop(rng.randrange(len(open_ones))) if open_ones and rng.random() < 0.4 else (0,)
        more = max(1, round(_lognormal((9, 40) if old == (0,) else (3, 12), rng)))
        blocks = (*old, *range(fresh, fresh + more))
        fresh += more
        # The last block is a begun one: with more text in it, it is another.
        open_ones = [*open_ones[-200:], blocks[:-1] if len(blocks) > 1 else blocks]
        rows.append((now, len(blocks) * 512 - rng.randrange(512), answer * SHRINK, blocks))
    return rows


def _lognormal(median_p90: tuple[int, int], rng: Random) -> int:
    median, p90 = median_p90
    return max(1, round(median * math.exp(rng.gauss(0, math.log(p90 / median) / 1.2816))))


# -- text

_WORDS = [f"{a}{b}{c}{d} ".encode() for a in "bdgk" for b in ("ara", "elo", "inu", "osi") for c in "lmnr" for d in ("ea", "io", "ou", "ay")]
"""256 words of seven bytes and a space: two tokens each."""


def text_of(key: str, tokens: int) -> str:
    """As many tokens of text, always the same for one key."""
    drawn = hashlib.shake_256(key.encode()).digest(-(-tokens // 2))
    return b"".join([_WORDS[i] for i in drawn])[:tokens * 4].decode()


def _strangers(rows: list[Row], skip: int) -> list[Arrival]:
    arrivals = []
    for number, (at_s, prompt, output, _) in enumerate(rows, skip):
        tokens = min(max(prompt - 4, 1), MOST_TOKENS)
        arrivals.append(Arrival(at_s, (("user", text_of(f"stranger {number}", tokens)),), tokens + 4, _output(output)))
    return arrivals


class Conversations:
    """Texts for block ids, remembered: the same id is the same text, and carries the same beginnings of messages."""

    def __init__(self) -> None:
        # Per block: (role of the message that begins here, or None when one goes on; text).
        self._known: dict[int, list[tuple[str | None, str]]] = {}
        # By the last full block of a prompt: what followed it, and how many tokens the answer had. The latest counts.
        self._ends: dict[int, tuple[str, int]] = {}

    def messages(self, blocks: tuple[int, ...], last: int, output: int) -> tuple[tuple[str, str], ...]:
        """The prompt of these blocks, the last of which has `last` tokens, and remembers how it ended."""
        shared = next((i for i, block in enumerate(blocks) if block not in self._known), len(blocks))
        if shared < len(blocks):
            self._learn(blocks, shared, last)
        if len(blocks) > 1:
            self._ends[blocks[-2]] = "".join(text for _, text in self._known[blocks[-1]]), output
        said: list[list[str]] = []
        for block in blocks:
            for role, text in self._known[block]:
                if role is not None or not said:
                    said.append([role or "user", text])
                else:
                    said[-1][1] += text
        return tuple((role, text) for role, text in said)

    def _learn(self, blocks: tuple[int, ...], shared: int, last: int) -> None:
        """Text for the blocks from `shared` on: the end of an earlier prompt, its answer, the next question."""
        new = (len(blocks) - shared - 1) * BLOCK_TOKENS + last
        # Beginning with nothing but the system prompt is beginning.
        tail, answer = self._ends.get(blocks[shared - 1], ("", 0)) if shared > 1 else ("", 0)
        # A question must follow, and a prompt that does not go on beyond the earlier one is no next turn.
        before = len(tail) // 4 if len(tail) // 4 < new - 1 else 0
        answer = min(answer, (new - before) // 2) if before else 0
        at = 0
        for place in range(shared, len(blocks)):
            block, size = blocks[place], last if place == len(blocks) - 1 else BLOCK_TOKENS
            text = (tail + text_of(f"block {block}", size))[:size * 4] if before and place == shared else text_of(f"block {block}", size)
            begins = {0: "system" if place == 0 else "user" if place == 1 else None}
            if before:
                begins = {before - at: "assistant", before + answer - at: "user"}
            edges = sorted({0, *(edge for edge in begins if 0 <= edge < size)})
            self._known[block] = [(begins.get(edge), text[edge * 4:end * 4])
                                  for edge, end in zip(edges, [*edges[1:], size], strict=True)]
            at += size


def _conversations(rows: list[Row], rng: Random) -> list[Arrival]:
    arrivals, conversations = [], Conversations()
    for at_s, length, output, ids in rows:
        blocks = ids[:MOST_TOKENS // BLOCK_TOKENS]
        last = max(1, (length - 512 * (len(ids) - 1)) // SHRINK) if len(blocks) == len(ids) else BLOCK_TOKENS
        messages = conversations.messages(blocks, min(last, BLOCK_TOKENS), output // SHRINK)
        tokens = sum(len(text) // 4 for _, text in messages) + 4 * len(messages)
        arrivals.append(Arrival(at_s + rng.random() * _ROUNDED_S, messages, tokens, _output(output // SHRINK)))
    return arrivals


def _output(tokens: int) -> int:
    return min(max(tokens, 2), MOST_OUTPUT)
