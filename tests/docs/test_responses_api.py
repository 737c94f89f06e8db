"""The reference of the Responses API names every field that has a fate, under that fate."""

import re
from pathlib import Path

from pointsman.translation.responses_request import ANSWERED, MAPPED, OF_CHAT, PASSED, STATEFUL

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "http-api.md").read_text("utf-8")


def part(heading):
    return re.split(r"^#", PAGE.split(f"### {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def first_cells(heading):
    cells = [line.split("|")[1] for line in part(heading).splitlines() if line.startswith("| `")]
    return {re.split(r"[.:]", word)[0] for cell in cells for word in re.findall(r"`([^`]+)`", cell)}


def test_fields_that_pass_are_named():
    assert set(re.findall(r"`([^`]+)`", part("Passed on"))) == PASSED


def test_fields_that_are_mapped_are_named():
    contents = {"input_text", "output_text", "refusal", "input_image", "input_audio", "input_file"}

    assert first_cells("Mapped") - contents == MAPPED


def test_fields_that_are_answered_here_are_named():
    assert first_cells("Answered here") == ANSWERED


def test_fields_that_are_refused_are_named():
    assert first_cells("Not here") == set(STATEFUL) | set(OF_CHAT)
