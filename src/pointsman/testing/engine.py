"""The inside of a continuously batching engine, without a clock, a socket or a model.

A test (or a rim) drives it: `submit` a sequence, call `step(now)`, let time pass until `Step.ends_at`, hand out what
the step brought, and step again. Time is whatever the driver says: `engine_rim` keeps it on an event loop, a
simulation of a whole fleet jumps from one step's end to the next.

Scheduling follows vLLM's V1 scheduler. A step works on at most `prefill_budget` tokens: first those who run already, in
order of admission (one token each when decoding, a chunk of the prompt before that), then the queue, first come first
served, while there are slots and the whole prompt fits beside what is held (`scheduler_reserve_full_isl`). Blocks are
taken as tokens come. When a running sequence finds none left, the youngest one is preempted: it loses its blocks, goes
to the head of the queue and computes everything again, but for what the prefix cache still has; nobody is admitted in
such a step.

What is left out: answers are not entered into the prefix cache (their text is made up, no later prompt repeats it), and
attention over a long context costs no more than over a short one.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import msgspec

from pointsman.testing.engine_blocks import BLOCK_TOKENS, BlockPool, blocks_for
from pointsman.testing.gpu_models import Timing

PREFILL_BUDGET = 2048
"""Tokens a step works on at most (vLLM's `max_num_batched_tokens`), so that long prompts do not stop the others."""


class QueueFull(Exception):
    """`max_queued` sequences are waiting already."""


@dataclass(slots=True, eq=False)
class Sequence:
    """One generation: what it needs, and how far it is. Times are the engine's seconds; None = not yet."""

    prompt_tokens: int
    output_tokens: int
    """How many tokens it will say; 0 = only the prompt is computed (an embedding)."""
    prefix: tuple[int, ...] = ()
    """One hash per full block of the prompt, each covering all before it: `engine_blocks.prefix_of`."""
    arrived_at: float = 0.0
    started_at: float | None = None
    first_token_at: float | None = None
    last_token_at: float | None = None
    computed: int = 0
    """Tokens in the KV cache, of the prompt and then of the answer."""
    cached: int = 0
    """Of the prompt, found in the prefix cache when it was first admitted."""
    generated: int = 0
    blocks: list[int] = field(default_factory=list, repr=False)
    named: int = 0
    """How many of its blocks the prefix cache knows."""
    preemptions: int = 0
    is_aborted: bool = field(default=False, repr=False)

    @property
    def remaining(self) -> int:
        """Tokens to compute before the next one is said: 1 while decoding, all of them after a preemption."""
        return self.prompt_tokens + self.generated - self.computed

    @property
    def is_decoding(self) -> bool:
        return self.generated > 0 and self.remaining == 1

    @property
    def is_finished(self) -> bool:
        return self.generated >= self.output_tokens and self.computed >= self.prompt_tokens


class Step(msgspec.Struct, frozen=True):
    """One pass through the model."""

    began_at: float
    ends_at: float
    prefill_tokens: int
    running: int
    tokens: tuple[Sequence, ...]
    """Sequences that have one more token at `ends_at`."""
    finished: tuple[Sequence, ...]
    """Sequences that are complete at `ends_at`: their slot and blocks are free from then on."""


class Engine:
    """Slots, KV blocks, a queue, and a prefix cache. `max_queued` None: the queue has no end (vLLM's default)."""

    def __init__(self, timing: Timing, *, slots: int, kv_tokens: int, max_queued: int | None = None,
                 prefill_budget: int = PREFILL_BUDGET, prefix_caching: bool = True) -> None:
        self.timing, self.slots, self.max_queued = timing, slots, max_queued
        self.prefill_budget = prefill_budget
        self.blocks = BlockPool(max(kv_tokens // BLOCK_TOKENS, 1), caches=prefix_caching)
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []
        """In order of admission."""
        self.preemptions = 0
        self.prefix_queries = self.prefix_hits = 0
        """Prompt tokens of admitted sequences, and those of them that were cached. A preempted one is not asked again."""
        self.busy_s = 0.0
        """Seconds of all steps so far."""
        self._leaving: list[Sequence] = []

    def __repr__(self) -> str:
        return (f"<Engine [{len(self.running)}/{self.slots} running, {len(self.waiting)} waiting | "
                f"KV {self.kv_usage:.0%}]>")

    @property
    def kv_usage(self) -> float:
        """Share of blocks that running sequences hold, 0..1; what is only cached counts as free, as in vLLM."""
        return self.blocks.used / self.blocks.total

    @property
    def kv_tokens(self) -> int:
        """Tokens of context that fit, all sequences together."""
        return self.blocks.total * BLOCK_TOKENS

    def submit(self, sequences: list[Sequence], now: float) -> None:
        """Queues the sequences of one request, all or none.

        Raises QueueFull; ValueError for one that even an empty engine has no room for (an engine with such a
        `max_model_len` would not have started).
        """
        if any(s.prompt_tokens + s.output_tokens > self.kv_tokens for s in sequences):
            raise ValueError(f"a sequence needs more than the {self.kv_tokens} tokens that fit into the KV cache")
        if self.max_queued is not None:
            # Between two steps newcomers wait although slots are free: those do not count as queued.
            free = max(self.slots - len(self.running), 0)
            if len(self.waiting) + len(sequences) > self.max_queued + free:
                raise QueueFull
        for sequence in sequences:
            sequence.arrived_at = now
            self.waiting.append(sequence)

    def abort(self, sequence: Sequence) -> None:
        """Nobody wants this one any more: it leaves the queue at once, and its slot at the next step."""
        sequence.is_aborted = True
        if sequence in self.waiting:
            self.waiting.remove(sequence)

    def step(self, now: float) -> Step | None:
        """Plans the pass that begins at `now`; None when there is nothing to do.

        Call it again at `ends_at`, not before. The engine's counters already are as they will be then, but for the
        finished sequences, which hold slot and blocks until the next call.
        """
        self._leave()
        batch: list[Sequence] = []
        decoded, left, preemptions = 0, self.prefill_budget, self.preemptions
        for sequence in tuple(self.running):
            if left <= 0:
                break
            # Without blocks: preempted by an older one in this very loop.
            tokens = min(sequence.remaining, left)
            if sequence.blocks and self._grow(sequence, sequence.computed + tokens):
                decoded += sequence.is_decoding
                left -= tokens
                self._compute(sequence, tokens)
                batch.append(sequence)
        if self.preemptions == preemptions:
            left = self._admit(left, now, batch)
        if not batch:
            return None
        prefill = self.prefill_budget - left - decoded
        ends_at = now + self.timing.step_s(prefill, len(batch))
        self.busy_s += ends_at - now
        return self._finish(now, ends_at, prefill, batch)

    def _finish(self, began_at: float, ends_at: float, prefill: int, batch: list[Sequence]) -> Step:
        tokens, finished = [], []
        for sequence in batch:
            if sequence.remaining == 0 and sequence.generated < sequence.output_tokens:
                sequence.generated += 1
                if sequence.first_token_at is None:
                    sequence.first_token_at = ends_at
                tokens.append(sequence)
            if sequence.is_finished:
                finished.append(sequence)
        self._leaving += finished
        return Step(began_at, ends_at, prefill, len(batch), tuple(tokens), tuple(finished))

    def _admit(self, left: int, now: float, batch: list[Sequence]) -> int:
        """Starts those who wait, in order, as long as the first of them fits; returns what is left of the budget."""
        while self.waiting and len(self.running) < self.slots and left > 0:
            sequence = self.waiting[0]
            total = sequence.remaining
            # The last token is always computed: somebody has to say what comes after it.
            shared = self.blocks.known(sequence.prefix, (total - 1) // BLOCK_TOKENS)
            if not self.blocks.has_room(shared, blocks_for(total) - len(shared)):
                break
            self.waiting.popleft()
            self.running.append(sequence)
            self._begin(sequence, shared, now)
            tokens = min(sequence.remaining, left)
            self._grow(sequence, sequence.computed + tokens)
            self._compute(sequence, tokens)
            left -= tokens
            batch.append(sequence)
        return left

    def _begin(self, sequence: Sequence, shared: list[int], now: float) -> None:
        self.blocks.share(shared)
        sequence.blocks, sequence.named = shared, len(shared)
        sequence.computed = len(shared) * BLOCK_TOKENS
        if sequence.started_at is None:
            # A rim that catches up plans a step a moment late: nobody starts before arriving.
            sequence.started_at = max(now, sequence.arrived_at)
            sequence.cached = sequence.computed
            self.prefix_queries += sequence.prompt_tokens
            self.prefix_hits += sequence.cached

    def _compute(self, sequence: Sequence, tokens: int) -> None:
        sequence.computed += tokens
        full = min(sequence.computed // BLOCK_TOKENS, len(sequence.prefix))
        while sequence.named < full:
            self.blocks.name(sequence.blocks[sequence.named], sequence.prefix[sequence.named])
            sequence.named += 1

    # -- blocks

    def _grow(self, sequence: Sequence, tokens: int) -> bool:
        """Room for `tokens` of a running sequence, taken from the youngest when there is none left; False = it was
        the youngest itself."""
        more = blocks_for(tokens) - len(sequence.blocks)
        if more <= 0:
            return True
        while more > self.blocks.free:
            youngest = self.running[-1]
            self._preempt(youngest)
            if youngest is sequence:
                return False
        sequence.blocks += self.blocks.take(more)
        return True

    def _preempt(self, sequence: Sequence) -> None:
        self.preemptions += 1
        self._release(sequence)
        sequence.preemptions += 1
        sequence.computed = 0
        if not sequence.is_aborted:
            self.waiting.appendleft(sequence)

    def _release(self, sequence: Sequence) -> None:
        self.running.remove(sequence)
        self.blocks.give_back(sequence.blocks)
        sequence.blocks, sequence.named = [], 0

    def _leave(self) -> None:
        self._leaving += [s for s in self.running if s.is_aborted]
        for sequence in self._leaving:
            if sequence.blocks:
                self._release(sequence)
        self._leaving = []
