import socket

import msgspec
import pytest

from pointsman.core.settings import AdminSettings, ServerSettings
from pointsman.server.address import Addresses, CannotListen, bound

SERVER, ADMIN = ServerSettings(host="127.0.0.1", port=0), AdminSettings(host="127.0.0.1", port=0)


def port_of(listening: socket.socket) -> int:
    return int(listening.getsockname()[1])


def test_an_address_that_is_held_lets_clients_connect_before_anybody_serves() -> None:
    with bound("127.0.0.1", 0) as listening, socket.create_connection(("127.0.0.1", port_of(listening)), timeout=5):
        pass


def test_a_taken_port_is_one_sentence_with_what_to_do() -> None:
    with bound("127.0.0.1", 0) as taken, pytest.raises(CannotListen) as caught:
        bound("127.0.0.1", port_of(taken))

    assert str(caught.value) == (f"cannot listen on 127.0.0.1:{caught.value.port}: Address already in use; "
                                 "stop what holds it or choose another with `--port` or `server.port`")


def test_a_taken_admin_port_lets_the_other_go_again() -> None:
    with bound("127.0.0.1", 0) as free:
        server = msgspec.structs.replace(SERVER, port=port_of(free))
    with bound("127.0.0.1", 0) as taken, pytest.raises(CannotListen, match=r"`admin[.]port`"):
        Addresses.hold(server, msgspec.structs.replace(ADMIN, port=port_of(taken)))

    bound(server.host, server.port).close()


def test_both_are_held_and_closed_together() -> None:
    held = Addresses.hold(SERVER, ADMIN)
    assert held.admin is not None
    held.close()
    held.close()

    assert held.front.fileno() == held.admin.fileno() == -1


def test_the_operators_address_may_be_left_for_later() -> None:
    held = Addresses.hold(SERVER, None)
    assert held.admin is None
    held.close()
