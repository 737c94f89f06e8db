"""What a command's end means."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pointsman.core.answer import Answer, Choice
from pointsman.core.reply import Heard
from pointsman.core.verdict import Verdict
from pointsman.core.verifying import CommandCheck
from pointsman.testing.factories import a_request
from pointsman.verification.command_check import CommandVerifier, code_in, verdict_of
from pointsman.verification.sandbox.keeper import NoHelper, Ran

CODE = "Here:\n```python\ndef f(): return 1\n```\nand\n~~~\nprint(f())\n~~~\ndone"


class Keeps:
    """A keeper whose helper says what it is told to."""

    def __init__(self, ran: Ran | Exception, *, isolation: str = "namespaces", is_up: bool = True) -> None:
        self.ran, self.isolation, self.is_up = ran, isolation, is_up
        self.told: list[str] = []

    async def run(self, check: CommandCheck, text: str, wall_s: float) -> Ran:
        self.told.append(text)
        if isinstance(self.ran, Exception):
            raise self.ran
        return self.ran


async def nobody(pool: str, body: bytes, *, until: float) -> Heard:
    raise AssertionError("nobody is asked here")


def checked(keeper: Any, text: str = CODE, left_s: float = 60.0, **settings: Any) -> Verdict:
    async def run() -> Verdict:
        verifier = CommandVerifier(CommandCheck(("python3", "answer.py"), **settings), keeper)
        return await verifier.consult(a_request(), Answer((Choice(text),)), nobody, pool="small",
                                      until=asyncio.get_running_loop().time() + left_s)
    return asyncio.run(run())


def test_the_code_blocks_are_what_is_run():
    keeper = Keeps(Ran("exited", 0, ""))

    assert checked(keeper).score == 1.0
    assert keeper.told == ["def f(): return 1\n\n\nprint(f())\n"]


@pytest.mark.parametrize(("text", "code"), [
    ("no code", ""), ("```\na\n```", "a\n"), ("```py\na", "a"), ("````\n```\na\n```\n````", "```\na\n```\n"), ("x `a` y", ""), ("", ""),
    ("```python\na\n```\n" * 2, "a\n\n\na\n")])
def test_fences_are_what_tells_code_from_prose(text: str, code: str):
    assert code_in(text) == code


def test_prose_is_not_run():
    keeper = Keeps(Ran("exited", 0, ""))

    assert checked(keeper, "Just prose.").reason == "no code in it"
    assert keeper.told == []


def test_the_whole_text_may_be_asked_for():
    keeper = Keeps(Ran("exited", 0, ""))
    checked(keeper, "Just prose.", takes="text")

    assert keeper.told == ["Just prose."]


@pytest.mark.parametrize(("ran", "score", "is_hard", "fault"), [
    (Ran("exited", 0, "ok"), 1.0, False, ""), (Ran("exited", 1, "1 failed"), 0.0, True, ""), (Ran("exited", 137, ""), 0.0, True, ""),
    (Ran("exited", 75, ""), None, False, ""), (Ran("wall", 0, ""), 0.0, True, ""), (Ran("memory", 0, ""), 0.0, True, ""),
    (Ran("broken", 0, "", "cannot run 'pytest'"), None, False, "garbage"),
    (Ran("exited", 0, 'x\n{"score": 0.7}\n'), 0.7, False, ""), (Ran("exited", 1, '{"score": null}'), None, False, ""),
    (Ran("exited", 0, '{"score": 7}'), 1.0, False, ""), (Ran("exited", 3, '{"score": ...}'), 0.0, True, ""),
    (Ran("exited", 0, '{"score": 1.2.3}'), 1.0, False, ""), (Ran("exited", 0, "\x00�" * 500), 1.0, False, ""),
])
def test_an_end_has_a_meaning(ran: Ran, score: float | None, is_hard: bool, fault: str):
    verdict = verdict_of(ran)

    assert (verdict.score, verdict.is_hard, verdict.fault) == (score, is_hard, fault)


def test_a_run_cut_short_by_the_request_says_nothing():
    assert checked(Keeps(Ran("wall", 0, "")), left_s=2.0).fault == "slow"


def test_trouble_with_the_helper_is_an_abstention():
    assert checked(Keeps(NoHelper("gone"))).fault == "crashed"
    assert checked(Keeps(NoHelper("gone"), is_up=False)).fault == "down"


def test_without_isolation_nothing_runs_unless_that_was_accepted():
    keeper = Keeps(Ran("exited", 0, ""), isolation="none")

    assert checked(keeper).fault == "unavailable"
    assert keeper.told == []
    assert checked(keeper, accepts_no_isolation=True).score == 1.0
