"""The inside of a continuously batching engine, without a clock, a socket or a model.

A test (or a rim) drives it: `submit` a sequence, call `step(now)`, let time pass until `Step.ends_at`, hand out what
the step brought, and step again. Scheduling follows vLLM's: decoding first, then chunks of prompts within a token
budget, first come first served, while slots and KV blocks last; when blocks run out in the middle, the youngest
sequence is preempted and starts over.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

import msgspec

from pointsman.testing.gpu_models import Timing

BLOCK_TOKENS = 16
BLOCK_BYTES = BLOCK_TOKENS * 4
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
    """One hash per full block of the prompt, each covering all before it: `prefix_of`."""
    arrived_at: float = 0.0
    started_at: float | None = None
    first_token_at: float | None = None
    last_token_at: float | None = None
    finished_at: float | None = None
    computed: int = 0
    """Tokens in the KV cache."""
    cached: int = 0
    """Of the prompt, read from the prefix cache."""
    generated: int = 0
    blocks: int = 0
    preemptions: int = 0
    is_aborted: bool = field(default=False, repr=False)

    @property
    def to_compute(self) -> int:
        """Prompt tokens, and whatever was generated before a preemption threw it away."""
        return self.prompt_tokens + (self.generated if self.preemptions else 0)

    @property
    def is_prefilled(self) -> bool:
        return self.computed >= self.to_compute

    @property
    def is_finished(self) -> bool:
        return self.is_prefilled and self.generated >= self.output_tokens


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
        self.total_blocks = max(kv_tokens // BLOCK_TOKENS, 1)
        self.used_blocks = 0
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []
        """In order of admission."""
        self.preemptions = 0
        self.prefix_cache = PrefixCache(self.total_blocks if prefix_caching else 0)
        self._leaving: list[Sequence] = []

    def __repr__(self) -> str:
        return (f"<Engine [{len(self.running)}/{self.slots} running, {len(self.waiting)} waiting | "
                f"KV {self.kv_usage:.0%}]>")

    @property
    def kv_usage(self) -> float:
        """Share of blocks that running sequences hold, 0..1; what is only cached counts as free, as in vLLM."""
        return self.used_blocks / self.total_blocks

    def submit(self, sequences: list[Sequence], now: float) -> None:
        """Queues the sequences of one request, all or none. Raises QueueFull."""
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
        decoding = [s for s in self.running if s.is_prefilled]
        for sequence in decoding:
            # Without blocks: preempted by an older one in this very loop.
            if sequence.blocks:
                self._grow(sequence, sequence.prompt_tokens + sequence.generated + 1)
        decoding = [s for s in decoding if s.blocks]
        worked, prefilling = self._prefill(max(self.prefill_budget - len(decoding), 1), now)
        batch = decoding + prefilling
        if not batch:
            return None
        ends_at = now + self.timing.step_s(worked, len(batch))
        return self._finish(Step(now, ends_at, worked, len(batch), (), ()), batch)

    def _finish(self, step: Step, batch: list[Sequence]) -> Step:
        tokens = []
        for sequence in batch:
            if sequence.is_prefilled and sequence.generated < sequence.output_tokens:
                sequence.generated += 1
                sequence.computed += 1 if sequence.preemptions else 0
                if sequence.first_token_at is None:
                    sequence.first_token_at = step.ends_at
                tokens.append(sequence)
        finished = [s for s in batch if s.is_finished]
        for sequence in finished:
            sequence.finished_at = step.ends_at
        self._leaving += finished
        return msgspec.structs.replace(step, tokens=tuple(tokens), finished=tuple(finished))

    def _prefill(self, budget: int, now: float) -> tuple[int, list[Sequence]]:
        """Spends the budget on prompts under way, then on the queue; returns tokens worked on and their sequences."""
        worked, batch = 0, []
        for sequence in [s for s in self.running if not s.is_prefilled]:
            if budget > worked:
                worked += self._compute(sequence, budget - worked)
                batch.append(sequence)
        while self.waiting and len(self.running) < self.slots and budget > worked and self._fits(self.waiting[0]):
            sequence = self.waiting.popleft()
            if sequence.started_at is None:
                # A rim that catches up plans a step a moment late: nobody starts before arriving.
                sequence.started_at = max(now, sequence.arrived_at)
            self.running.append(sequence)
            self._take(sequence, sequence.to_compute + 1)
            # The last token is always computed: somebody has to say what comes after it.
            sequence.cached = min(self.prefix_cache.hit(sequence.prefix) * BLOCK_TOKENS, sequence.prompt_tokens - 1)
            sequence.computed = max(sequence.cached, 0)
            self.prefix_cache.add(sequence.prefix)
            worked += self._compute(sequence, budget - worked)
            batch.append(sequence)
        return worked, batch

    def _compute(self, sequence: Sequence, budget: int) -> int:
        tokens = min(sequence.to_compute - sequence.computed, budget)
        sequence.computed += tokens
        return tokens

    # -- blocks

    def _fits(self, sequence: Sequence) -> bool:
        # An empty engine takes anything: a prompt that fits nowhere is refused before it comes here.
        return not self.running or self.used_blocks + _blocks(sequence.to_compute + 1) <= self.total_blocks

    def _take(self, sequence: Sequence, tokens: int) -> None:
        more = _blocks(tokens) - sequence.blocks
        sequence.blocks += more
        self.used_blocks += more

    def _grow(self, sequence: Sequence, tokens: int) -> None:
        """Room for one more token of a running sequence, taken from the youngest when there is none left."""
        while (more := _blocks(tokens) - sequence.blocks) > 0:
            if self.used_blocks + more <= self.total_blocks or len(self.running) == 1:
                self._take(sequence, tokens)
                return
            youngest = self.running[-1]
            self._preempt(youngest)
            if youngest is sequence:
                return

    def _preempt(self, sequence: Sequence) -> None:
        self.preemptions += 1
        self._release(sequence)
        sequence.preemptions += 1
        sequence.computed = 0
        self.waiting.appendleft(sequence)

    def _release(self, sequence: Sequence) -> None:
        self.running.remove(sequence)
        self.used_blocks -= sequence.blocks
        sequence.blocks = 0

    def _leave(self) -> None:
        self._leaving += [s for s in self.running if s.is_aborted]
        for sequence in self._leaving:
            if sequence.blocks:
                self._release(sequence)
        self._leaving = []


class PrefixCache:
    """Which prompt blocks are still in memory: the least recently used go first. `capacity` in blocks, 0 = off."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def hit(self, prefix: tuple[int, ...]) -> int:
        """How many leading blocks are known."""
        return next((i for i, block in enumerate(prefix) if block not in self._blocks), len(prefix))

    def add(self, prefix: tuple[int, ...]) -> None:
        for block in prefix:
            self._blocks[block] = None
            self._blocks.move_to_end(block)
        while len(self._blocks) > self.capacity:
            self._blocks.popitem(last=False)


def prefix_of(prompt: bytes) -> tuple[int, ...]:
    """The prompt's full blocks as hashes that cover everything before them (within this process)."""
    covered, hashes = 0, []
    for end in range(BLOCK_BYTES, len(prompt) + 1, BLOCK_BYTES):
        covered = hash((covered, prompt[end - BLOCK_BYTES:end]))
        hashes.append(covered)
    return tuple(hashes)


def _blocks(tokens: int) -> int:
    return -(-tokens // BLOCK_TOKENS)
