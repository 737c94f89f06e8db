"""What clients call a session."""

import pytest

from pointsman.server.session_id import HEADERS, session_in_user_id, session_of


def test_headers_count_in_their_order():
    sent = {name: name.replace(b"_", b"-") + b"!" for name in HEADERS}

    assert session_of(sent) == "x-session-id!"
    assert session_of({b"conversation_id": b"c", b"session_id": b"s"}) == "s"
    assert session_of({b"x-session-id": b"x" * 999}) == "x" * 200
    assert session_of({}) == ""


@pytest.mark.parametrize(("user_id", "session"), [
    ("user_1f_account__session_0aa3b09e-8d7c-4c55", "0aa3b09e-8d7c-4c55"), ("user_1f_account_2_session_0aa3b09e", "0aa3b09e"),
    ('{"device_id":"d","account_uuid":"","session_id":"s-1"}', "s-1"), ("{", ""), ('{"session_id":7}', ""), ("{}", ""), ("alice", ""), ("", ""),
    ("user_session_short", ""), ("{\ud83d", ""),
])
def test_claude_code_writes_it_into_the_users_name(user_id, session):
    assert session_in_user_id(user_id) == session
