"""A request is read once."""

from pointsman.classify.seen import Seen
from pointsman.core.request import Message
from pointsman.testing.factories import a_request


def test_the_same_request_is_read_once_and_another_one_anew():
    seen, first, second = Seen(), a_request("one"), a_request("two")

    assert seen.of(first) is seen.of(first)
    assert seen.of(second)[0].text == "two"
    assert seen.of(first)[0].text == "one"


def test_what_was_forgotten_is_read_again():
    seen, request = Seen(), a_request("one")
    before = seen.of(request)
    seen.forget()

    assert seen.of(request) == before
    assert seen.of(request) is not before


def test_without_a_users_word_there_are_no_features():
    assert Seen().of(a_request(messages=(Message("system", "Be kind."),)))[1] is None
