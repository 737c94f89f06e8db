"""Where each cloud says that a spot machine will be taken away."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from pointsman.spot import clouds
from pointsman.spot.clouds import AZURE_LEAD_S, GCP_LEAD_S, Aws, Azure, Gcp
from pointsman.spot.notice import Notice, Unavailable

BASE = "http://cloud"
Said = bytes | None | Exception


class Service:
    """A metadata service: what it says to each path, several things in turn, the last again and again."""

    def __init__(self, **says: list[Said] | Said) -> None:
        self._says = {word: list(said) if isinstance(said, list) else [said] for word, said in says.items()}
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    def __call__(self, url: str, headers: Mapping[str, str], *, method: str = "GET", timeout_s: float = 2.0) -> bytes | None:
        self.asked.append((method, url.removeprefix(BASE), dict(headers)))
        says = next(said for word, said in self._says.items() if word in url)
        said = says.pop(0) if len(says) > 1 else says[0]
        if isinstance(said, Exception):
            raise said
        return said


def play(monkeypatch: pytest.MonkeyPatch, **says: list[Said] | Said) -> Service:
    service = Service(**says)
    monkeypatch.setattr(clouds, "ask", service)
    return service


TERMINATE = b'{"action": "terminate", "time": "2026-11-22T12:02:00Z"}'


def test_aws_is_asked_with_a_token_and_names_the_action_and_its_time(monkeypatch):
    service = play(monkeypatch, token=b"secret\n", action=TERMINATE)
    aws = Aws(BASE)
    assert aws.is_here()
    assert aws.look() == Notice("aws spot terminate", at=datetime(2026, 11, 22, 12, 2, tzinfo=UTC))
    assert service.asked == [
        ("PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "21600"}),
        ("GET", "/latest/meta-data/spot/instance-action", {"X-aws-ec2-metadata-token": "secret"}),
    ]


def test_aws_says_nothing_as_long_as_nothing_is_planned(monkeypatch):
    play(monkeypatch, token=b"secret", action=None)
    assert Aws(BASE).look() is None


def test_an_ended_token_is_replaced_and_the_question_asked_again(monkeypatch):
    service = play(monkeypatch, token=[b"old", b"new"], action=[Unavailable("401"), TERMINATE])
    aws = Aws(BASE)
    assert aws.is_here()
    assert aws.look() is not None
    assert [headers.get("X-aws-ec2-metadata-token") for _, _, headers in service.asked] == [None, "old", None, "new"]


def test_with_a_new_token_refused_too_it_is_unavailable(monkeypatch):
    play(monkeypatch, token=b"secret", action=Unavailable("401"))
    with pytest.raises(Unavailable):
        Aws(BASE).look()


@pytest.mark.parametrize("token", [Unavailable("nobody there"), None, b"", b"two\nlines", b"x" * 2_000])
def test_without_a_token_that_could_be_one_it_is_not_aws(monkeypatch, token):
    play(monkeypatch, token=token)
    assert not Aws(BASE).is_here()


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"action": "stop"}', b'{"action": "stop", "time": "soon"}', b"\xff"])
def test_what_cannot_be_read_is_unavailable_and_no_notice(monkeypatch, body):
    play(monkeypatch, token=b"secret", action=body)
    with pytest.raises(Unavailable, match="cannot be read"):
        Aws(BASE).look()


def test_gcp_is_told_by_the_answer_that_is_there(monkeypatch):
    service = play(monkeypatch, preempted=b"TRUE\n")
    assert Gcp(BASE).look() == Notice("gcp preempted", lead_s=GCP_LEAD_S)
    assert service.asked == [("GET", "/computeMetadata/v1/instance/preempted", {"Metadata-Flavor": "Google"})]


def test_gcp_is_told_by_the_change_that_it_waits_for(monkeypatch):
    service = play(monkeypatch, preempted=[b"FALSE", b"true"])
    assert Gcp(BASE).look() == Notice("gcp preempted", lead_s=GCP_LEAD_S)
    assert "wait_for_change=true" in service.asked[1][1]


@pytest.mark.parametrize("said", [b"FALSE", b"", None, b"maybe"])
def test_gcp_without_a_clear_word_is_no_notice(monkeypatch, said):
    play(monkeypatch, preempted=said)
    assert Gcp(BASE).look() is None


@pytest.mark.parametrize(("said", "is_here"), [(b"FALSE", True), (None, False), (Unavailable("nobody there"), False)])
def test_whether_this_is_gcp(monkeypatch, said, is_here):
    play(monkeypatch, preempted=said)
    assert Gcp(BASE).is_here() is is_here


def azure_event(kind: str, resources: str = '["vm-1"]', before: str = "Sun, 22 Nov 2026 12:00:30 GMT") -> bytes:
    return f'{{"Events": [{{"EventType": "{kind}", "NotBefore": "{before}", "Resources": {resources}}}]}}'.encode()


@pytest.mark.parametrize("kind", ["Preempt", "Terminate"])
def test_azure_names_the_machine_and_the_time(monkeypatch, kind):
    play(monkeypatch, scheduledevents=azure_event(kind), name=b"vm-1")
    notice = Notice(f"azure {kind.lower()}", at=datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC), lead_s=AZURE_LEAD_S)
    assert Azure(BASE).look() == notice


@pytest.mark.parametrize("event", [
    azure_event("Reboot"), azure_event("Freeze"), azure_event("Preempt", '["vm-2"]'), b'{"Events": []}', b"{}", None])
def test_azure_events_that_do_not_end_this_machine_are_no_notice(monkeypatch, event):
    play(monkeypatch, scheduledevents=event, name=b"vm-1")
    assert Azure(BASE).look() is None


@pytest.mark.parametrize("before", ["", "as soon as we can"])
def test_an_azure_event_whose_time_nobody_knows_leaves_the_least_that_is_promised(monkeypatch, before):
    play(monkeypatch, scheduledevents=azure_event("Preempt", before=before), name=b"vm-1")
    assert Azure(BASE).look() == Notice("azure preempt", lead_s=AZURE_LEAD_S)


def test_a_time_without_a_zone_is_of_the_zone_that_azure_speaks(monkeypatch):
    play(monkeypatch, scheduledevents=azure_event("Preempt", before="Sun, 22 Nov 2026 12:00:30 -0000"), name=b"vm-1")
    notice = Azure(BASE).look()
    assert notice is not None
    assert notice.at == datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)


def test_azure_is_asked_for_the_machines_name_once(monkeypatch):
    service = play(monkeypatch, scheduledevents=b"{}", name=b"vm-1\n")
    azure = Azure(BASE)
    assert azure.is_here()
    azure.look(), azure.look()
    assert sum("compute/name" in url for _, url, _ in service.asked) == 1
    assert all(headers == {"Metadata": "true"} for _, _, headers in service.asked)


@pytest.mark.parametrize("name", [Unavailable("nobody there"), None, b" "])
def test_without_a_name_it_is_not_azure(monkeypatch, name):
    play(monkeypatch, name=name)
    assert not Azure(BASE).is_here()
