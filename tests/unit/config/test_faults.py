"""What the schema finds, in words of the file."""

import pytest


def test_an_unknown_key_is_named_with_the_closest_one(problems, valid):
    assert problems(valid.replace("default_tier", "defualt_tier")) == [
        "router.yaml:13: routes.auto.defualt_tier: unknown key 'defualt_tier'; did you mean 'default_tier'?"
    ]


def test_an_unknown_key_far_from_all_lists_what_there_is(problems, valid):
    assert problems(valid + "records: {zzz: 1}\n") == [
        "router.yaml:14: records.zzz: unknown key 'zzz'; there is: content, flush, path"
    ]


def test_unknown_keys_are_found_deep_inside(problems, valid):
    rule = "routes: {auto: {rules: [{when: {any: [{not: {regx: a}}]}, tier: small}]}}\n"
    text = valid[: valid.index("routes:")] + rule

    assert problems(text) == [
        "router.yaml:12: routes.auto.rules[0].when.any[0].not.regx: unknown key 'regx'; did you mean 'regex'?"
    ]


def test_a_missing_key_blames_the_mapping_without_it(problems, valid):
    assert problems(valid.replace("    model: llama-3.3-70b\n", "")) == [
        "router.yaml:8: pools.llama-70b: `model` is missing"
    ]


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ("server: {port: yes}", "server.port: expected a whole number, got true (a boolean); YAML reads yes, no, on and off"),
        ("server: {host: no}", "server.host: expected text, got false (a boolean); YAML reads yes, no, on, off, true and false"),
        ("server: {port: 4000.5}", "server.port: expected a whole number, got 4000.5; drop the fraction"),
        ("server: {port: '4000'}", "server.port: expected a whole number, got text '4000'; write a plain decimal"),
        ("server: {port: 99999}", "server.port: must be less than or equal to 65535"),
        ("server: {port:}", "server.port: there is no value; give a whole number, or remove the key"),
        ("server: [1]", "server: expected a mapping (`key: value`), got a list"),
        ("server: {max_body: 32}", "server.max_body: 32 has no unit; write for instance 32MiB"),
        ("records: {content: al}", "records.content: text 'al' is not one of 'none' or 'all'; did you mean 'all'?"),
        ("records: {path: 7}", "records.path: expected text, got 7; quote it"),
        ("auth: {keys: {}}", "auth.keys: expected a list"),
        ("server: {workers: many}", "server.workers: expected a whole number or 'auto', got text 'many'; write a plain decimal"),
        ("server: {workers: 0}", "server.workers: must be greater than or equal to 1 or 'auto'"),
    ],
)
def test_a_wrong_value_says_what_is_expected_and_what_came(problems, valid, section, sentence):
    [said] = problems(valid + section + "\n")

    assert said.startswith(f"router.yaml:14: {sentence}")


@pytest.mark.parametrize("quality", [".nan", ".inf", "1.5", "-0.1", "high"])
def test_quality_is_a_share(problems, valid, quality):
    assert len(problems(valid.replace("default_tier: large", f"quality: {quality}"))) == 1


@pytest.mark.parametrize("price", ["-1", ".nan", ".inf"])
def test_prices_are_finite_and_not_negative(problems, valid, price):
    [said] = problems(valid.replace("input: 0.88", f"input: {price}"))

    assert said.startswith("router.yaml:11: pools.llama-70b.endpoints[0].usd_per_million.input: ")


def test_names_are_safe_in_labels_and_headers(problems, valid):
    [said] = problems(valid.replace("  large: {pools", "  'big one': {pools: [llama-70b]}\n  large: {pools"))

    assert said.startswith("router.yaml:6: tiers.big one: text 'big one' is no usable name; letters, digits")
