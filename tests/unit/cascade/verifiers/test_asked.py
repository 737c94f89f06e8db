"""What a request asked for."""

from __future__ import annotations

import msgspec
import pytest

from pointsman.cascade.verifiers.asked import NOTHING_ASKED, asked_of
from pointsman.testing.factories import a_request


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"messages":5}', b"[" * 5000, b"\xff", b'{"tools":[1,{"function":5}],"functions":"x"}'])
def test_what_cannot_be_read_was_not_asked_for(body: bytes):
    assert asked_of(a_request(body=body)) == NOTHING_ASKED


def test_old_functions_are_tools():
    body = msgspec.json.encode({"functions": [{"name": "f", "parameters": {"type": "object"}}]})

    assert asked_of(a_request(body=body)).tools == {"f": {"type": "object"}}
