from __future__ import annotations

import os

import msgspec
import pytest

from pointsman.state.drains import Drain, Drains, drains_file, server_of
from pointsman.testing.factories import an_endpoint


def a_drain(server: str = "a", endpoint: str = "small/0") -> Drain:
    return Drain(endpoint, server, "new kernel", 1000.0, 1600.0)


def test_what_was_added_is_there_after_a_restart_and_what_was_removed_is_not(tmp_path):
    file = drains_file(tmp_path / "state" / "records.db")
    drains = Drains(file)
    assert drains.add(a_drain("a"))
    assert drains.add(a_drain("b", "small/1"))
    drains.remove("a")

    assert Drains(file).known == (a_drain("b", "small/1"),)
    assert file.stat().st_mode & 0o777 == 0o600


def test_servers_that_the_configuration_does_not_name_any_more_are_forgotten(tmp_path):
    drains = Drains(tmp_path / "drains.json")
    drains.add(a_drain("a"))
    drains.add(a_drain("b", "small/1"))

    assert drains.keep({"b", "c"}) == (a_drain("a"),)
    assert Drains(drains.path).known == (a_drain("b", "small/1"),)


def test_a_secret_in_the_url_stays_out_of_the_file(tmp_path):
    endpoint = an_endpoint("small/0", "http://user:secret@gpu:8000/v1")
    drains = Drains(tmp_path / "drains.json")
    drains.add(a_drain(server_of("small", endpoint)))

    assert b"secret" not in drains.path.read_bytes()


def test_another_url_pool_or_model_is_another_server():
    one = an_endpoint("small/0", "http://gpu:8000/v1")
    others = [("small", an_endpoint("small/0", "http://gpu:8001/v1")), ("large", one),
              ("small", msgspec.structs.replace(one, model="other"))]

    assert server_of("small", one) == server_of("small", an_endpoint("small/7", "http://gpu:8000/v1"))
    assert server_of("small", one) not in {server_of(*other) for other in others}


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"version": 2, "drains": []}', b"\xff"])
def test_a_file_that_cannot_be_read_is_told_and_drains_nothing(tmp_path, caplog, content):
    file = tmp_path / "drains.json"
    file.write_bytes(content)
    drains = Drains(file)

    assert drains.known == ()
    assert drains.last_error is not None
    assert "in service" in caplog.text


def test_a_folder_that_takes_no_file_is_told_and_the_drain_holds_until_the_restart(tmp_path, caplog):
    drains = Drains(tmp_path / "drains.json")
    os.mkdir(tmp_path / "drains.new")

    assert not drains.add(a_drain())
    assert drains.known == (a_drain(),)
    assert "a restart forgets" in caplog.text
    os.rmdir(tmp_path / "drains.new")
    assert drains.add(a_drain())
    assert drains.last_error is None
