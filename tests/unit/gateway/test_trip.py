"""What a request leaves behind."""

import pytest

from pointsman.classify.heads.query import Query
from pointsman.core.record import Record
from pointsman.core.request import Message
from pointsman.core.settings import RouteSettings
from pointsman.gateway.trip import Trip
from pointsman.learn.readers.recorded import asked
from pointsman.testing.factories import a_request

ROUTE = RouteSettings("auto", ("small", "large"), "small")
REMINDER = "<system-reminder>be quick</system-reminder>"


def record(*messages, keeps_content=True) -> Record:
    trip = Trip("id", a_request(messages=messages), ROUTE, now=0.0, wall=0.0)
    trip.keeps_content = keeps_content
    return trip.record(1.0, None, 200)


@pytest.mark.parametrize("messages", [
    (Message("user", "Where is my order?"),),
    (Message("system", "You are Ann."), Message("user", "hi"), Message("assistant", "hello"), Message("user", "Where is my order?")),
    (Message("user", f"{REMINDER}Where is my order?"), Message("assistant", ""), Message("tool", "order 7: sent"), Message("user", REMINDER)),
    (Message("system", "é\U0001f600"), Message("user", "Où est ma commande \U0001f600?"), Message("tool", "x" * 500)),
])
def test_a_kept_prompt_says_which_turn_was_classified_so_that_training_reads_what_serving_read(messages):
    kept = record(*messages)

    assert Query.of_prompt(asked(kept)).text == Query.of(a_request(messages=messages)).text
    assert kept.prompt == "\n\n".join(message.text for message in messages)


def test_where_no_user_said_a_word_there_is_no_such_turn():
    assert record(Message("system", "Be brief."), Message("user", REMINDER)).subject is None


def test_nothing_is_looked_for_where_content_is_not_kept():
    kept = record(Message("user", "Where is my order?"), keeps_content=False)

    assert (kept.prompt, kept.subject) == (None, None)
