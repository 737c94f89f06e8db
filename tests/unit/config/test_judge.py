"""`judge` in a route's pipeline, and its settings."""

from __future__ import annotations

import pytest

from pointsman.config.load import load_text
from pointsman.core.settings import JudgeSettings
from pointsman.errors import ConfigError

TIERS = """
tiers:
  small: {model: a, endpoints: [{url: "http://127.0.0.1:9/v1"}]}
  large: {model: b, endpoints: [{url: "http://127.0.0.1:9/v1"}]}
"""


def route(text):
    return load_text(f"{TIERS}routes:\n  auto: {text}\n").routes["auto"]


def test_it_is_off_until_it_is_named():
    made = load_text(TIERS).routes["auto"]

    assert "judge" not in made.pipeline
    assert made.judge == JudgeSettings()


def test_its_settings_arrive_with_their_units():
    made = route("{pipeline: [heuristic, judge], judge: {pool: large, deadline: 250ms, below: 0.7, usd_per_hour: off, share: 0.1}}")

    assert made.judge == JudgeSettings(pool="large", deadline_s=0.25, below=0.7, usd_per_hour=None, share=0.1)


@pytest.mark.parametrize(("text", "problem"), [
    ("{pipeline: [judge, heuristic]}", "has stages behind `judge`"),
    ("{pipeline: [heuristic, judge], judge: {pool: lage}}", "pool 'lage' does not exist"),
    ("{pipeline: [heuristic, judge], judge: {band: 0}}", "judge.band"),
    ("{pipeline: [heuristic, judge], judge: {reliability: 1.0}}", "judge.reliability"),
    ("{pipeline: [heuristic, judge], judge: {shair: 0.1}}", "share"),
])
def test_what_cannot_be_is_told_with_its_place(text, problem):
    with pytest.raises(ConfigError, match=problem):
        route(text)
