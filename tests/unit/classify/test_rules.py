"""Rules: conditions over a request, the first that holds decides."""

import pytest

from pointsman.classify.rules import Rules, keyword_pattern
from pointsman.core.decision import Target
from pointsman.core.request import Caller, Message
from pointsman.core.settings import Condition, Rule
from pointsman.errors import ConfigError
from pointsman.testing.factories import a_request


def holds(condition, request=None):
    return Rules([Rule("r", condition, tier="small")]).classify(request or a_request(), None) is not None


def test_an_order_number_goes_to_its_tier():
    rules = Rules([Rule("orders", Condition(regex=r"(?i)\border[- ]?\d{6,}\b"), tier="small", reason="order lookup")])

    decided = rules.classify(a_request("Where is ORDER-1234567?"), None)

    assert (decided.target, decided.reason) == (Target("tier", "small"), "order lookup")
    assert rules.classify(a_request("Where is order 12?"), None) is None


def test_the_first_matching_rule_decides():
    rules = Rules([Rule("a", Condition(regex="x"), tier="small"), Rule("b", Condition(regex="y"), tier="large")])

    assert rules.classify(a_request("y x"), None).target.name == "small"
    assert rules.classify(a_request("only y"), None).target.name == "large"


def test_effects_are_tier_pool_model_and_system_prompt():
    def decided(**effect):
        return Rules([Rule("r", Condition(), **effect)]).classify(a_request(), None)

    assert decided(pool="llama").target == Target("pool", "llama")
    assert decided(model="acme/llama").target == Target("model", "acme/llama")
    assert decided(tier="small", system="You look up orders.").system == "You look up orders."
    assert decided(tier="small").reason == "r"


def test_regex_reads_the_last_user_text_without_harness_text():
    secret = Condition(regex="secret")

    assert not holds(secret, a_request(messages=(Message("user", "secret"), Message("user", "hello"))))
    assert not holds(secret, a_request("<system-reminder>secret</system-reminder> hello"))
    assert holds(secret, a_request(messages=(Message("user", "a secret"), Message("assistant", "ok"))))


def test_text_reads_every_message_as_sent():
    request = a_request(messages=(Message("system", "You are Coder"), Message("user", "hi")))

    assert holds(Condition(text="You are Coder"), request)
    assert not holds(Condition(regex="You are Coder"), request)


def test_both_see_32_kib():
    far = "x" * 15_000 + "needle" + "x" * 100_000
    deep = "x" * 50_000 + "needle" + "x" * 50_000

    for condition in (Condition(regex="needle"), Condition(text="needle")):
        assert holds(condition, a_request(far))
        assert not holds(condition, a_request(deep))


@pytest.mark.parametrize(("text", "expected"), [
    ("I want a REFUND now", True), ("refund", True), ("refunds", False), ("prerefund", False), ("(refund)", True),
    ("talk to a human", True), ("talk to a humanoid", False), ("请帮我退款吧", True), ("über cool", True), ("rüber cool", False),
])
def test_keywords_are_whole_words_in_any_case(text, expected):
    assert holds(Condition(keywords=("refund", "to a human", "退款", "Über")), a_request(text)) is expected


def test_keywords_are_literal():
    assert holds(Condition(keywords=("c++",)), a_request("I use C++ daily"))
    assert not holds(Condition(keywords=("a.c",)), a_request("abc"))
    assert not holds(Condition(keywords=("",)), a_request("anything"))
    assert keyword_pattern(()) == keyword_pattern(("",))


def test_headers_match_as_a_whole_value():
    request = a_request(headers={"x-team": "legal"})

    assert holds(Condition(header={"X-Team": "legal"}), request)
    assert not holds(Condition(header={"x-team": "leg"}), request)
    assert not holds(Condition(header={"x-other": ".*"}), request)


def test_metadata_matches_scalars_as_json_writes_them():
    request = a_request(metadata={"n": 3, "beta": True, "who": "ann", "deep": {"a": 1}, "none": None})

    for key, pattern in (("n", "3"), ("beta", "true"), ("who", "a.n")):
        assert holds(Condition(metadata={key: pattern}), request), key
    for key in ("deep", "none", "absent"):
        assert not holds(Condition(metadata={key: ".*"}), request), key


def test_path_tenant_and_tools():
    assert holds(Condition(path="^/v1/completions$"), a_request(path="/v1/completions"))
    assert not holds(Condition(path="^/v1/completions$"))
    assert holds(Condition(tenant=("acme",)), a_request(caller=Caller("app", "acme")))
    assert not holds(Condition(tenant=("acme",)))
    assert holds(Condition(tools=True), a_request(tools=2))
    assert holds(Condition(tools=False))
    assert not holds(Condition(tools=True))


def test_length_is_counted_in_characters_without_harness_text():
    request = a_request("<system-reminder>" + "x" * 99 + "</system-reminder>五个字符呀")

    assert holds(Condition(min_chars=5, max_chars=5), request)
    assert not holds(Condition(min_chars=6), request)
    assert not holds(Condition(max_chars=4), request)
    assert holds(Condition(min_chars=100_000), a_request("y" * 100_000))


def test_all_given_parts_must_hold():
    condition = Condition(regex="refund", tools=False, tenant=("acme",))

    assert holds(condition, a_request("refund", caller=Caller("a", "acme")))
    assert not holds(condition, a_request("refund", caller=Caller("a", "other")))


def test_conditions_are_combined_by_all_any_and_not():
    a, b = Condition(regex="a"), Condition(regex="b")

    assert holds(Condition(all=(a, b)), a_request("ab"))
    assert not holds(Condition(all=(a, b)), a_request("a"))
    assert holds(Condition(any=(a, b)), a_request("b"))
    assert not holds(Condition(any=(a, b)), a_request("c"))
    assert holds(Condition(not_=a), a_request("b"))
    assert not holds(Condition(regex="b", not_=a), a_request("ab"))


def test_an_unusable_pattern_is_a_configuration_error():
    with pytest.raises(ConfigError, match="RE2 syntax"):
        Rules([Rule("r", Condition(any=(Condition(regex="(?=x)"),)), tier="small")])


def test_odd_values_match_nothing_and_raise_nothing():
    assert not holds(Condition(header={"x": "a"}), a_request(headers={"x": "\ud800"}))
    assert not holds(Condition(metadata={"x": ".*"}), a_request(metadata={"x": "y" * 40_000}))
