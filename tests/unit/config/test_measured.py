"""What was measured of a tier, as the configuration takes it."""

import pytest

from pointsman.config.load import load_text, load_text_with_warnings
from pointsman.core.settings import TaskSettings
from pointsman.core.verdict import Rates
from pointsman.core.verifying import Measured
from pointsman.errors import ConfigError


def text(small, verify="[logprobs]"):
    return f"""
tiers:
  small: {{model: m, endpoints: [{{url: "http://127.0.0.1:1/v1"}}], verify: {verify}, {small}}}
  large: {{model: n, endpoints: [{{url: "http://127.0.0.1:2/v1"}}]}}
routes:
  auto: {{cascade: {{mode: benefit}}}}
"""


def test_overlaps_and_kinds_of_work_are_read():
    tier = load_text(text("overlap: {large: 0.7}, by_task: {code: {accept_at: 0.6, overlap: {large: 0.2}, verify: "
                          "{logprobs: {misses: 0.1, false_alarms: 0.2, weights: {mean: 2, bias: 1}}}}, text: {}}")).tiers["small"]

    assert tier.overlap == {"large": 0.7}
    assert tier.by_task["code"] == TaskSettings(0.6, {"large": 0.2}, {"logprobs": Measured(Rates(0.1, 0.2), {"mean": 2.0, "bias": 1.0})})
    assert tier.by_task["text"] == TaskSettings()


@pytest.mark.parametrize(("small", "says"), [
    ("overlap: {lagre: 0.7}", "did you mean 'large'?"),
    ("overlap: {small: 0.7}", "is this tier itself"),
    ("overlap: {large: 1.5}", "tiers.small.overlap.large"),
    ("by_task: {code: {overlap: {lagre: 0.7}}}", "tiers.small.by_task.code.overlap.lagre"),
    ("by_task: {cod: {}}", "tiers.small.by_task"),
    ("by_task: {code: {verify: {logprobs: {misses: 0.1, false_alarms: 0.9}}}}", "false_alarms"),
    ("by_task: {code: {verify: {logprobs: {misses: 0.1}}}}", "false_alarms"),
])
def test_what_cannot_be_is_told_by_its_place(small, says):
    with pytest.raises(ConfigError) as raised:
        load_text(text(small))
    assert says in str(raised.value)


def test_a_verifier_that_does_not_look_here_is_warned_of():
    by_task = "by_task: {code: {verify: {http: {misses: 0.1, false_alarms: 0.2}}}}"

    assert any("nobody of that name" in str(warning) for warning in load_text_with_warnings(text(by_task)).warnings)
    assert not any("nobody of that name" in str(warning) for warning in load_text_with_warnings(text(by_task, "[{http: {url: 'http://127.0.0.1:3'}}]")).warnings)
