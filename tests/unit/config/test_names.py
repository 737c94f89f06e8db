"""Names that would mean two things."""


def test_a_tier_may_share_its_name_with_its_only_pools_model(problems, valid):
    assert problems(valid.replace("model: qwen-7b", "model: small")) == []


def test_a_route_named_as_a_tier_is_ambiguous(problems, valid):
    [said] = problems(valid + "  small: {ladder: [small]}\n")

    assert "`model: small` would be ambiguous: it is route 'small' and tier 'small'" in said


def test_two_pools_of_one_model_name_are_ambiguous(problems, valid):
    [said] = problems(valid.replace("model: llama-3.3-70b", "model: qwen-7b"))

    assert said.startswith("router.yaml:9: pools.llama-70b.model: `model: qwen-7b` would be ambiguous")


def test_a_pool_model_named_as_another_tier_is_ambiguous(problems, valid):
    assert len(problems(valid.replace("model: llama-3.3-70b", "model: small"))) == 1


def test_a_provider_qualified_name_may_not_be_another_pools_model(problems, valid):
    [said] = problems(valid.replace("model: qwen-7b", "model: example/llama-3.3-70b"))

    assert "`model: example/llama-3.3-70b` would be ambiguous" in said


def test_a_mixed_pool_may_be_asked_for_by_each_of_its_providers(problems, valid):
    own = '      - {url: "http://10.0.0.3/v1", usd_per_million: {input: 1, output: 1}}\nroutes:'
    mixed = valid.replace("routes:", own)

    [said] = problems(mixed.replace("model: qwen-7b", "model: example/llama-3.3-70b"))
    assert "would be ambiguous" in said
