"""A request as heads see it."""

from pointsman.classify.features import NAMES
from pointsman.classify.heads.query import Query
from pointsman.core.request import ChatRequest, Kind, Message


def test_a_bare_prompt_is_one_user_message():
    request = ChatRequest(Kind.CHAT, b"", "auto", (Message("user", "What is  2 + 2?"),))

    assert Query.of_prompt("What is  2 + 2?") == Query.of(request)


def test_it_holds_the_subject_and_its_bytes():
    query = Query.of_prompt(" Grüße ")

    assert (query.text, query.data, query.chars) == ("Grüße", "Grüße".encode(), 5)
    assert len(query.structural) == len(NAMES)


def test_nothing_is_a_query_too():
    assert Query.of_prompt("").text == ""
