"""Numbers for the beginnings of a request."""

from __future__ import annotations

import msgspec

from pointsman.core.request import Message
from pointsman.pools.balancers.beginnings import EDGES, FIRST, LAST, Beginnings, read
from pointsman.testing.factories import a_request


def talk(*turns: str, system: str = "") -> tuple[Message, ...]:
    said = [Message("system", system)] if system else []
    said += [Message("assistant" if at % 2 else "user", text) for at, text in enumerate(turns)]
    return tuple(said)


def begun(*turns: str, system: str = "") -> list[tuple[int, int]]:
    return read(a_request(messages=talk(*turns, system=system))).parts


def test_each_message_ends_a_beginning_and_says_how_many_tokens_it_has():
    assert [tokens for _, tokens in begun("q" * 30, "a" * 60, system="s" * 90)] == [30, 40, 60]


def test_the_mark_of_a_share_is_the_shortest_beginning_with_so_much():
    read_ = read(a_request(messages=talk("q" * 30, "a" * 60, "?" * 30, system="s" * 90)))
    assert [read_.mark(share) for share in (0.0, 0.5, 0.58, 1.0)] == [read_.parts[at][0] for at in (0, 1, 2, 3)]
    assert Beginnings([], 0).mark(0.5) == 0


def test_the_next_turn_begins_with_all_of_the_turn_before():
    first, third = begun("Where?", system="Help."), begun("Where?", "On its way.", "When?", system="Help.")
    assert third[:2] == first


def test_a_long_message_has_beginnings_inside():
    one, other = begun("x" * 5_000 + "What is it about?"), begun("x" * 5_000 + "Who wrote it?")
    shared = [number for number, _ in one if number in dict(other)]
    assert len(shared) == 8, "512 to 4,096 bytes"
    assert not set(begun("y" + "x" * 5_000)) & set(one)


def test_places_within_the_text_do_not_depend_on_where_messages_end():
    assert [tokens for _, tokens in begun("q" * 300, system="s" * 300)] == [100, 512 // 3, 200]


def test_a_message_that_ends_at_such_a_place_is_counted_once():
    assert [tokens for _, tokens in begun("q" * 512)] == [170]


def test_the_role_is_part_of_what_begins():
    assert read(a_request(messages=(Message("user", "a"),))) != read(a_request(messages=(Message("system", "a"),)))


def test_bytes_are_counted_not_characters():
    assert begun("é" * 300)[0][1] == 512 // 3


def test_beyond_the_last_place_nothing_is_read():
    text = "y" * EDGES[-1]
    assert begun(text) == begun(text + "z" * 10**6)
    assert begun(text) == begun(text, "answer")
    assert len(begun(text)) == len(EDGES)


def test_of_hundreds_of_messages_the_first_and_the_latest_count():
    turns = [f"turn {n}" for n in range(300)]
    before, after = begun(*turns), begun(*turns, "and now?")
    assert len(before) == len(after) == FIRST + LAST
    assert before[:FIRST] == after[:FIRST]
    assert before[-1] in after


def test_nothing_said_is_no_beginning():
    assert read(a_request(messages=())) == Beginnings([], 0)
    assert read(a_request(messages=())).tokens == 0


def test_lone_surrogates_begin_something():
    request = msgspec.structs.replace(a_request(), messages=(Message("\ud800", "a"), Message("user", "\ud800" * 2_000)))
    assert len(read(request).parts) > 2


def test_all_turns_of_a_conversation_have_one_number_and_others_have_another():
    def number(*turns: str) -> int:
        return read(a_request(messages=talk(*turns, system="Help."))).conversation

    assert number("Where?", "Here.", "When?") == number("Where?")
    assert number("When?") != number("Where?")


def test_numbers_are_the_same_in_every_process_and_release():
    assert begun("Where is my parcel?", system="Help.") == [(1553229364, 1), (1716253310, 8)]
