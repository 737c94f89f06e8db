"""The engine, driven by a clock that the test moves: batching, queueing, blocks, preemption, aborts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.testing.engine import Engine, QueueFull, Sequence, Step
from pointsman.testing.engine_blocks import prefix_of
from pointsman.testing.gpu_models import Timing

# One step: 10 ms, 1 ms a prompt token, 2 ms a sequence.
TIMING = Timing(a=0.010, b=0.001, c=0.002)


def an_engine(*, slots: int = 4, kv_tokens: int = 16_000, **options: object) -> Engine:
    return Engine(TIMING, slots=slots, kv_tokens=kv_tokens, **options)  # type: ignore[arg-type]


def run(engine: Engine, now: float = 0.0, limit: int = 10_000) -> list[Step]:
    """Steps until there is nothing to do."""
    steps = []
    while (step := engine.step(now)) is not None:
        steps.append(step)
        now = step.ends_at
        assert len(steps) < limit
    return steps


def test_a_step_takes_a_plus_b_prompt_plus_c_running() -> None:
    engine = an_engine()
    engine.submit([Sequence(30, 2)], now=1.0)

    first, second = run(engine, now=1.0)

    assert first.ends_at == pytest.approx(1.0 + 0.010 + 0.030 + 0.002)
    assert second.ends_at - second.began_at == pytest.approx(0.010 + 0.002)
    assert (first.finished, len(second.finished)) == ((), 1)


def test_the_last_chunk_of_a_prompt_brings_the_first_token() -> None:
    engine = an_engine(prefill_budget=20)
    engine.submit([Sequence(50, 1)], now=0.0)

    assert [(s.prefill_tokens, len(s.tokens)) for s in run(engine)] == [(20, 0), (20, 0), (10, 1)]


def test_a_long_prompt_does_not_stop_those_who_are_decoding() -> None:
    engine = an_engine(prefill_budget=20)
    early, late = Sequence(5, 10), Sequence(100, 1)
    engine.submit([early], now=0.0)
    engine.step(0.0)
    engine.submit([late], now=0.01)

    step = engine.step(0.02)

    assert step is not None
    assert (step.tokens, step.prefill_tokens) == ((early,), 19)


def test_who_finds_no_slot_waits_and_comes_next() -> None:
    engine = an_engine(slots=2)
    sequences = [Sequence(10, 1), Sequence(10, 3), Sequence(10, 1)]
    engine.submit(sequences, now=0.0)

    steps = run(engine)

    assert [s.running for s in steps] == [2, 2, 1]
    assert sequences[2].started_at == steps[0].ends_at
    assert all(s.generated == s.output_tokens for s in sequences)


def test_a_full_queue_refuses_and_free_slots_do_not_count_as_queue() -> None:
    engine = an_engine(slots=1, max_queued=1)
    engine.submit([Sequence(10, 5)], now=0.0)
    engine.submit([Sequence(10, 5)], now=0.0)

    with pytest.raises(QueueFull):
        engine.submit([Sequence(10, 5)], now=0.0)
    assert len(engine.waiting) == 2


def test_an_aborted_sequence_frees_its_slot_at_the_next_step() -> None:
    engine = an_engine(slots=1)
    first, second = Sequence(10, 1000), Sequence(10, 1)
    engine.submit([first, second], now=0.0)
    engine.step(0.0)
    engine.abort(first)

    step = engine.step(0.1)

    assert step is not None
    assert step.tokens == (second,)
    assert engine.step(0.2) is None
    assert engine.blocks.used == 0


def test_an_aborted_sequence_leaves_the_queue_at_once() -> None:
    engine = an_engine(slots=1)
    first, second = Sequence(10, 10), Sequence(10, 1)
    engine.submit([first, second], now=0.0)
    engine.step(0.0)

    engine.abort(second)

    assert not engine.waiting


def test_when_blocks_run_out_the_youngest_starts_over_and_all_are_served() -> None:
    # Four blocks: two sequences of 20 prompt tokens take two each, and neither has room to grow past 32.
    engine = an_engine(kv_tokens=64)
    old, young = Sequence(20, 20), Sequence(20, 20)
    engine.submit([old, young], now=0.0)

    steps = run(engine)

    assert engine.preemptions >= 1
    assert (old.preemptions, young.preemptions >= 1) == (0, True)
    assert sum(s is young for step in steps for s in step.tokens) == 20
    assert engine.blocks.used == 0


def test_kv_usage_is_what_running_sequences_hold() -> None:
    engine = an_engine(kv_tokens=160)
    engine.submit([Sequence(31, 2)], now=0.0)
    engine.step(0.0)

    assert engine.kv_usage == pytest.approx(0.2)
    assert repr(engine) == "<Engine [1/4 running, 0 waiting | KV 20%]>"


def test_a_repeated_prompt_is_read_from_the_prefix_cache() -> None:
    engine = an_engine()
    prompt = b"You are a helpful assistant of a shop. " * 10
    first, second = (Sequence(len(prompt) // 4, 1, prefix_of(prompt)) for _ in range(2))
    engine.submit([first], now=0.0)
    run(engine)
    engine.submit([second], now=1.0)

    steps = run(engine, now=1.0)

    assert (first.cached, second.cached) == (0, 96)
    assert steps[0].prefill_tokens == second.prompt_tokens - 96


def test_sequences_with_one_prefix_share_its_blocks() -> None:
    engine = an_engine(kv_tokens=160)
    prompt = b"x" * 64 * 4
    first, second = (Sequence(70, 30, prefix_of(prompt)) for _ in range(2))
    engine.submit([first], now=0.0)
    engine.step(0.0)
    engine.submit([second], now=0.1)
    engine.step(0.1)

    assert (second.cached, second.blocks[:4]) == (64, first.blocks[:4])
    assert engine.blocks.used == 4 + 1 + 1
    assert (engine.prefix_queries, engine.prefix_hits) == (140, 64)


def test_a_prompt_waits_until_all_of_it_fits_and_nobody_passes_it() -> None:
    engine = an_engine(kv_tokens=160, prefill_budget=20)
    long, short = Sequence(120, 2), Sequence(10, 2)
    engine.submit([Sequence(60, 20)], now=0.0)
    engine.step(0.0)
    engine.submit([long, short], now=0.0)

    engine.step(0.1)

    assert list(engine.waiting) == [long, short]


def test_nobody_is_admitted_in_a_step_that_preempts() -> None:
    engine = an_engine(kv_tokens=64)
    engine.submit([Sequence(31, 20), Sequence(31, 20)], now=0.0)
    engine.step(0.0)
    newcomer = Sequence(1, 1)
    engine.submit([newcomer], now=0.0)
    while not engine.preemptions:
        engine.step(0.0)

    assert newcomer.started_at is None


def test_a_preempted_sequence_finds_its_own_prompt_in_the_cache() -> None:
    engine = an_engine(kv_tokens=96)
    old, young = Sequence(16, 48), Sequence(33, 30, prefix_of(b"y" * 132))
    engine.submit([old], now=0.0)
    engine.submit([young], now=0.0)

    steps = run(engine)

    again = next(s for s in steps if s.prefill_tokens and s.began_at > 0)
    assert (young.preemptions, young.generated) == (1, 30)
    assert again.prefill_tokens < young.prompt_tokens
    # The cache is asked about a prompt once, however often it starts over.
    assert engine.prefix_queries == 49


def test_what_fits_nowhere_is_refused_at_once() -> None:
    engine = an_engine(kv_tokens=64)

    with pytest.raises(ValueError, match="64 tokens"):
        engine.submit([Sequence(60, 5)], now=0.0)


def test_an_embedding_is_finished_when_its_prompt_is_read() -> None:
    engine = an_engine()
    engine.submit([Sequence(30, 0)], now=0.0)

    (step,) = run(engine)

    assert (step.tokens, len(step.finished)) == ((), 1)


@settings(max_examples=60)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 120), st.integers(0, 40), st.booleans()), min_size=1, max_size=12),
    slots=st.integers(1, 5), kv_tokens=st.integers(176, 600), budget=st.integers(1, 64),
)
def test_whatever_comes_everybody_is_served_and_nothing_is_kept(
    sizes: list[tuple[int, int, bool]], slots: int, kv_tokens: int, budget: int,
) -> None:
    engine = an_engine(slots=slots, kv_tokens=kv_tokens, prefill_budget=budget)
    now, told = 0.0, dict.fromkeys(range(len(sizes)), 0)
    sequences = [Sequence(prompt, output) for prompt, output, _ in sizes]
    gone = [s for s, (_, _, leaves) in zip(sequences, sizes, strict=True) if leaves]
    engine.submit(sequences, now)
    for turn in range(20_000):
        step = engine.step(now)
        if step is None:
            break
        assert step.ends_at > now
        assert step.running <= slots
        for sequence in step.tokens:
            told[sequences.index(sequence)] += 1
        now = step.ends_at
        if turn == 3:
            for sequence in gone:
                engine.abort(sequence)
    else:
        pytest.fail("the engine never came to rest")

    assert (engine.blocks.used, engine.running, len(engine.waiting)) == (0, [], 0)
    assert all(told[i] == s.output_tokens for i, s in enumerate(sequences) if s not in gone)
