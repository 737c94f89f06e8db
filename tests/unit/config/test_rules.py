import json

import pytest


@pytest.fixture
def with_rules(valid):
    """The valid file with these rules on line 13."""
    return lambda rules: valid.replace("default_tier: large", f"rules: {json.dumps(rules)}")


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"when": {"tools": True}}, "[0]: has no effect; give exactly one of `tier`, `pool` and `model`"),
        ({"when": {"tools": True}, "tier": "small", "pool": "llama-70b"}, "[0]: has `tier` and `pool`"),
        ({"when": {"tools": True}, "tier": "smal"}, "[0].tier: tier 'smal' does not exist; did you mean 'small'?"),
        ({"when": {"tools": True}, "pool": "x"}, "[0].pool: pool 'x' does not exist; there is: llama-70b, small"),
        ({"when": {"tools": True}, "model": "qwen7b"}, "[0].model: model 'qwen7b' does not exist; did you mean 'qwen-7b'?"),
        ({"when": {}, "tier": "small"}, "[0].when: has no condition"),
        ({"when": {"any": [{}]}, "tier": "small"}, "[0].when.any[0]: has no condition"),
        ({"when": {"regex": "("}, "tier": "small"}, "[0].when.regex: RE2 does not take the pattern"),
        ({"when": {"text": "(?=x)"}, "tier": "small"}, "RE2 has no lookaround"),
        ({"when": {"regex": ""}, "tier": "small"}, "[0].when.regex: the pattern is empty"),
        ({"when": {"regex": "a" * 1025}, "tier": "small"}, "[0].when.regex: the pattern is longer than 1024 bytes"),
        ({"when": {"not": {"path": "["}}, "tier": "small"}, "[0].when.not.path: RE2 does not take"),
        ({"when": {"header": {"X-A": "["}}, "tier": "small"}, "[0].when.header.X-A: RE2 does not take"),
        ({"when": {"header": {"Authorization": "x"}}, "tier": "small"}, "rules never see credentials"),
        ({"when": {"header": {"a b": "x"}}, "tier": "small"}, "[0].when.header.a b: is not a header name"),
        ({"when": {"header": {"x-a": "x", "X-A": "y"}}, "tier": "small"}, "names one header twice"),
        ({"when": {"min_chars": 9, "max_chars": 3}, "tier": "small"}, "[0].when.min_chars: is above `max_chars`"),
    ],
)
def test_a_rule_that_cannot_work_is_a_problem(problems, with_rules, rule, sentence):
    [said] = problems(with_rules([rule]))

    assert said.startswith("router.yaml:13: routes.auto.rules[0]")
    assert sentence in said


@pytest.mark.parametrize("target", [{"tier": "large"}, {"pool": "small"}, {"model": "qwen-7b"}, {"model": "example/llama-3.3-70b"}])
def test_every_kind_of_target_is_taken(problems, with_rules, target):
    assert problems(with_rules([{"when": {"regex": r"(?i)\border[- ]?\d{6,}\b"}, **target}])) == []


def test_at_most_five_hundred_rules(problems, with_rules):
    rule = {"when": {"tools": True}, "tier": "small"}

    assert problems(with_rules([rule] * 500)) == []
    assert problems(with_rules([rule] * 501)) == ["router.yaml:13: routes.auto.rules: is too long: at most 500"]


def test_rules_of_one_name_are_a_problem(problems, with_rules):
    rule = {"name": "a", "when": {"tools": True}, "tier": "small"}

    assert "rules[1].name: the same name as rules[0]" in problems(with_rules([rule, rule]))[0]
