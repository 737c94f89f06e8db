"""The page about coming from LiteLLM shows what the import really writes."""

import re
from pathlib import Path

from pointsman.migration.litellm import import_litellm

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "come-from-litellm.md").read_text("utf-8")


def block(marker):
    return re.search(rf"<!-- {marker}[^>]*-->\n```\w+\n(.*?)```", PAGE, re.DOTALL)[1]


def test_the_file_it_wrote_and_its_report_are_real():
    migrated = import_litellm(block("litellm"), "config.yaml", {})
    report = re.sub(r"\s+", "", block("report"))

    assert block("not run: it refers to keys of its own") == migrated.text
    for finding in migrated.findings:
        assert re.sub(r"\s+", "", finding.sentence)[:20] in report
        assert finding.fate in report
