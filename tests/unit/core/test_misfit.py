"""What cannot be read is a 400 with the path of the culprit."""

import msgspec
import pytest

from pointsman.core.misfit import Misfit, misfit_of, typed
from pointsman.errors import MalformedBody


class Turn(msgspec.Struct):
    role: str


class Body(msgspec.Struct):
    messages: list[Turn]


decode = msgspec.json.Decoder(Body).decode


def read(body: bytes):
    return typed(body, decode, lambda misfit: misfit.objection(misfit.path))


def refused(body: bytes) -> MalformedBody:
    with pytest.raises(MalformedBody) as caught:
        read(body)
    return caught.value


@pytest.mark.parametrize(("sentence", "misfit"), [
    ("Expected `str`, got `int` - at `$.messages[0].role`", Misfit("Expected `str`, got `int`", "messages[0].role")),
    ("Object missing required field `role` - at `$[0]`", Misfit("Object missing required field `role`", "[0]", "role")),
    ("Expected `object`, got `array`", Misfit("Expected `object`, got `array`")),
])
def test_a_decoders_sentence_is_taken_apart(sentence, misfit):
    assert misfit_of(msgspec.ValidationError(sentence)) == misfit


def test_an_objection_names_its_path_or_the_whole_body():
    assert refused(b'{"messages":[{"role":1}]}').param == "messages[0].role"
    assert "must be a JSON object" in str(refused(b"[]"))


def test_half_a_character_is_read_as_one_that_is_as_long():
    sent = rb'{"messages":[{"role":"\ud83d"}]}'
    body, readable = read(sent)

    assert body.messages[0].role == "�"
    assert len(readable) == len(sent)


def test_bytes_that_nobody_had_to_mend_are_the_clients_own():
    sent = b'{"messages":[]}'
    assert read(sent)[1] is sent


@pytest.mark.parametrize(("sent", "why"), [
    (b'{"messages":[', "not valid JSON"), (b'{"messages":"\xff"}', "not UTF-8: byte 13"), (b'{"x":' + b"[" * 5000, "nested too deeply"),
])
def test_what_is_no_json_says_why(sent, why):
    assert why in str(refused(sent))
