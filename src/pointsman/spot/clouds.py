"""The metadata services of three clouds: where each says that a spot machine will be taken away, and how long before.

AWS: `spot/instance-action` appears two minutes before (docs: "Spot Instance interruption notices"; IMDSv2 token needed).
GCP: `instance/preempted` turns TRUE 30 s before (docs: "Preemptible VM instances"; the question may wait for the change).
Azure: a `Preempt` event at least 30 s before (docs: "Scheduled Events for Linux VMs", api-version 2020-07-01).
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import ClassVar, TypeVar

import msgspec

from pointsman.spot.metadata import ask
from pointsman.spot.notice import Notice, Unavailable

AWS_LEAD_S, GCP_LEAD_S, AZURE_LEAD_S = 120.0, 30.0, 30.0


class _Action(msgspec.Struct):
    action: str
    time: datetime


class _Event(msgspec.Struct, rename="pascal"):
    event_type: str = ""
    not_before: str = ""
    resources: list[str] = []


class _Events(msgspec.Struct, rename="pascal"):
    events: list[_Event] = []


class Aws:
    """EC2. Asked twice a second, such that a notice is known, and the machine out of service, within one: the service allows far more."""

    name, every_s = "aws", 0.5

    def __init__(self, base: str) -> None:
        self._base, self._token = base, ""

    def is_here(self) -> bool:
        try:
            return self._fresh_token(0.5)
        except Unavailable:
            return False

    def look(self) -> Notice | None:
        try:
            return self._look()
        except Unavailable:  # tokens end after six hours, and with a stopped machine
            self._fresh_token()
            return self._look()

    def _look(self) -> Notice | None:
        body = ask(f"{self._base}/latest/meta-data/spot/instance-action", {"X-aws-ec2-metadata-token": self._token})
        if body is None:
            return None
        action = _read(body, _Action)
        return Notice(f"aws spot {action.action}", at=action.time)

    def _fresh_token(self, timeout_s: float = 2.0) -> bool:
        body = ask(f"{self._base}/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "21600"}, method="PUT",
                   timeout_s=timeout_s)
        self._token = (body or b"").decode("ascii", "replace").strip()
        return bool(self._token) and self._token.isprintable() and len(self._token) < 1024


class Gcp:
    """Compute Engine. The question itself waits, so it is asked without a pause."""

    name, every_s = "gcp", 0.1
    _HEADERS: ClassVar = {"Metadata-Flavor": "Google"}
    _WAIT_S = 5

    def __init__(self, base: str) -> None:
        self._base = base

    def is_here(self) -> bool:
        try:
            return ask(f"{self._base}/computeMetadata/v1/instance/preempted", self._HEADERS, timeout_s=0.5) is not None
        except Unavailable:
            return False

    def look(self) -> Notice | None:
        url = f"{self._base}/computeMetadata/v1/instance/preempted"
        now = ask(url, self._HEADERS)
        if _is_true(now):
            return Notice("gcp preempted", lead_s=GCP_LEAD_S)
        later = ask(f"{url}?wait_for_change=true&timeout_sec={self._WAIT_S}", self._HEADERS, timeout_s=self._WAIT_S + 5)
        return Notice("gcp preempted", lead_s=GCP_LEAD_S) if _is_true(later) else None


class Azure:
    """Virtual Machines. Events name the machines that they are for."""

    name, every_s = "azure", 1.0
    _HEADERS: ClassVar = {"Metadata": "true"}
    _ENDS = frozenset(("Preempt", "Terminate"))

    def __init__(self, base: str) -> None:
        self._base, self._machine = base, ""

    def is_here(self) -> bool:
        try:
            return self._name_of_machine(0.5) != ""
        except Unavailable:
            return False

    def look(self) -> Notice | None:
        body = ask(f"{self._base}/metadata/scheduledevents?api-version=2020-07-01", self._HEADERS)
        machine = self._machine or self._name_of_machine()
        for event in _read(body or b"{}", _Events).events:
            if event.event_type in self._ENDS and (not event.resources or machine in event.resources):
                return Notice(f"azure {event.event_type.lower()}", at=_http_date(event.not_before), lead_s=AZURE_LEAD_S)
        return None

    def _name_of_machine(self, timeout_s: float = 2.0) -> str:
        url = f"{self._base}/metadata/instance/compute/name?api-version=2021-02-01&format=text"
        self._machine = (ask(url, self._HEADERS, timeout_s=timeout_s) or b"").decode("utf-8", "replace").strip()
        return self._machine


def _is_true(body: bytes | None) -> bool:
    return (body or b"").strip().upper() == b"TRUE"


def _http_date(text: str) -> datetime | None:
    if not text:
        return None
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


T = TypeVar("T", _Action, _Events)


def _read(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise Unavailable(f"the metadata service said something that cannot be read: {exc}") from exc
