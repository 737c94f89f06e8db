"""Committed reference pages are what the code says today."""

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


def generator():
    spec = importlib.util.spec_from_file_location("generate_docs", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["configuration.md", "errors.md", "cli.md", "metrics.md", "pointsman.schema.json"])
def test_a_page_is_up_to_date(name):
    assert (DOCS / "reference" / name).read_text("utf-8") == generator().page(name), "run `make docs`"


def test_every_page_is_compared():
    assert set(generator().PAGES) == {"configuration.md", "errors.md", "cli.md", "metrics.md", "pointsman.schema.json"}


def test_every_setting_has_a_meaning_on_the_page():
    page = generator().configuration()

    for row in page.splitlines():
        if row.startswith("| `"):
            assert len(row.rsplit("|", 2)[1].strip()) > 10, row
    for name in ("`open_after`", "`usd_per_million`", "`not`", "`eject_max`", "`15s`", "`32MiB`"):
        assert name in page
