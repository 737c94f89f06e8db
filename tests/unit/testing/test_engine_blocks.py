"""Blocks are shared by those with the same prefix, kept while there is room, and never held by nobody twice."""

from hypothesis import given
from hypothesis import strategies as st

from pointsman.testing.engine_blocks import BlockPool, blocks_for, prefix_of


def test_what_is_given_back_is_found_again_until_it_is_overwritten() -> None:
    pool = BlockPool(2)
    (block,) = pool.take(1)
    pool.name(block, 7)
    pool.give_back([block])

    assert (pool.known((7, 8), 5), pool.used) == ([block], 0)
    pool.take(2)
    assert pool.known((7,), 5) == []


def test_the_block_that_was_free_longest_is_overwritten_first() -> None:
    pool = BlockPool(3)
    blocks = pool.take(3)
    for hash_, block in enumerate(blocks):
        pool.name(block, hash_)
    pool.give_back(blocks[1:])
    pool.give_back(blocks[:1])

    pool.take(1)

    # Given back together, the end of a prefix goes before its beginning.
    assert [pool.known((hash_,), 1) for hash_ in range(3)] == [[blocks[0]], [blocks[1]], []]


def test_a_shared_block_is_free_when_the_last_holder_lets_go() -> None:
    pool = BlockPool(2)
    blocks = pool.take(1)
    pool.share(blocks)
    pool.give_back(blocks)

    assert pool.used == 1
    pool.give_back(blocks)
    assert pool.used == 0


def test_sharing_what_is_free_costs_room_too() -> None:
    pool = BlockPool(2)
    blocks = pool.take(1)
    pool.name(blocks[0], 1)
    pool.give_back(blocks)

    assert pool.has_room(blocks, 1)
    assert not pool.has_room(blocks, 2)


def test_without_a_cache_nothing_is_found() -> None:
    pool = BlockPool(1, caches=False)
    pool.name(pool.take(1)[0], 7)

    assert pool.known((7,), 1) == []


@given(st.lists(st.tuples(st.integers(1, 4), st.lists(st.integers(0, 3), max_size=4)), max_size=40))
def test_whatever_is_held_free_and_held_add_up(acts: list[tuple[int, list[int]]]) -> None:
    pool, held = BlockPool(8), []
    for count, prefix in acts:
        shared = pool.known(tuple(prefix), 4)
        if pool.has_room(shared, count):
            pool.share(shared)
            mine = shared + pool.take(count)
            for block, hash_ in zip(mine, prefix, strict=False):
                pool.name(block, hash_)
            held.append(mine)
        elif held:
            pool.give_back(held.pop(0))
        assert pool.used == len({block for blocks in held for block in blocks})
        assert pool.used + pool.free == 8
    for blocks in held:
        pool.give_back(blocks)
    assert pool.free == 8


def test_hashes_cover_everything_before_them() -> None:
    one, other = prefix_of(b"a" * 64 + b"c" * 64 + b"d"), prefix_of(b"b" * 64 + b"c" * 64)

    assert len(one) == len(other) == 2
    assert not set(one) & set(other)


def test_a_begun_block_is_a_block() -> None:
    assert [blocks_for(tokens) for tokens in (0, 1, 16, 17)] == [0, 1, 1, 2]
