"""What takes more than one field to see."""

import pytest

from pointsman.config.check import has_nominal_throughput, is_loopback
from pointsman.config.load import load_text
from pointsman.core.settings import JudgeSettings
from pointsman.errors import ConfigError
from pointsman.money.catalogue import nominal_tokens_per_s


def test_a_valid_file_has_no_problem_and_no_warning(problems, warnings, valid):
    assert problems(valid) == []
    assert warnings(valid) == []


def test_a_typo_in_a_ladder_is_named_with_line_and_hint(problems, valid):
    assert problems(valid.replace("[small, large], default_tier: large", "[small, lrage]")) == [
        "router.yaml:13: routes.auto.ladder[1]: tier 'lrage' does not exist; did you mean 'large'?"
    ]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("default_tier: large", "default_tier: lage"), "routes.auto.default_tier: tier 'lage' does not exist"),
        (("ladder: [small, large]", "ladder: [small]"), "routes.auto.default_tier: tier 'large' is not on this route's ladder"),
        (("default_tier: large", "fallbacks: [big]"), "routes.auto.fallbacks[0]: tier 'big' does not exist"),
        (("[small, large]", "[small, large, small]"), "routes.auto.ladder: names tier 'small' twice"),
        (("pools: [llama-70b]", "pools: [llama-7b]"), "tiers.large.pools[0]: pool 'llama-7b' does not exist; did you mean"),
        (("{pools: [llama-70b]}", "{}"), "tiers.large: has no `model` and no `endpoints`"),
        (("    model: qwen-7b\n", ""), "tiers.small: has no `model`"),
        (("{pools: [llama-70b]}", "{pools: [llama-70b], model: x}"), "tiers.large: has both `pools` and `model`"),
        (("  llama-70b:\n", "  small:\n"), "pools.small: is also the inline pool"),
        (("model: qwen-7b", "model: q\n    sla: {ttft_target: 2s, ttft_p95_max: 500ms}"), "tiers.small.sla.ttft_target: is above"),
    ],
)
def test_names_and_parts_fit_together(problems, valid, change, sentence):
    said = problems(valid.replace(*change))

    assert any(f" {sentence}" in line for line in said), said


def test_a_misspelt_model_does_not_hide_what_is_wrong_with_its_endpoints(problems, valid):
    said = problems(valid.replace("model: qwen-7b", "modle: qwen-7b").replace("http://10.0.0.1", "htp://10.0.0.1"))

    assert [line.split(": ")[1] for line in said] == ["tiers.small.modle", "tiers.small.endpoints[0].url"]


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        ("heuristics", "stage 'heuristics' does not exist; did you mean 'heuristic'?"),
        ("'pinned:lrage'", "tier 'lrage' does not exist; did you mean 'large'?"),
        ("'random:2'", "'random:2' needs a share from 0 to 1"),
        ("'random:nan'", "needs a share"),
        ("'largest:x'", "does not exist"),
    ],
)
def test_a_stage_that_is_not_there_is_a_problem(problems, valid, stage, sentence):
    [said] = problems(valid.replace("default_tier: large", f"pipeline: [rules, {stage}]"))

    assert said.startswith("router.yaml:13: routes.auto.pipeline[1]: ")
    assert sentence in said


def test_all_stages_of_this_version_are_taken(problems, valid):
    stages = "[rules, heuristic, published, 'pinned:small', 'random:0.3', largest]"

    assert problems(valid.replace("default_tier: large", f"pipeline: {stages}")) == []


# ---------------------------------------------------------------------------------------------------------
# Endpoints


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ftp://10.0.0.1/v1", "must start with http:// or https://"),
        ("10.0.0.1:8001/v1", "must start with http:// or https://"),
        ("http:///v1", "must start with http:// or https:// and name a host"),
        ("http://user:hunter2@10.0.0.1/v1", "must not hold credentials"),
        ("http://10.0.0.1/v1?key=hunter2", "must not have a query"),
        ("http://10.0.0.1/v1#x", "must not have a query or a fragment"),
        ("http://10.0.0.1:99999/v1", "is not a URL; the port"),
        ("http://[1/v1", "is not a URL"),
        ("http://10.0.0.1/ v1", "holds spaces"),
        ("http://${HOST}/v1", "only whole secrets are filled in"),
    ],
)
def test_urls_are_plain_addresses_and_never_repeated(problems, valid, url, sentence):
    [said] = problems(valid.replace("http://10.0.0.1:8001/v1", url))

    assert said.startswith("router.yaml:5: tiers.small.endpoints[0].url: ")
    assert sentence in said
    assert "hunter2" not in said


def test_one_url_stands_in_a_pool_once_however_it_is_spelt(problems, valid):
    twice = '      - {url: "https://API.example.com:443/v1/", usd_per_million: {input: 1, output: 1}}\nroutes:'
    [said] = problems(valid.replace("routes:", twice))

    assert said.startswith("router.yaml:12: pools.llama-70b.endpoints[1].url: the same URL as endpoints[0]")


def test_two_prices_are_a_problem(problems, valid):
    [said] = problems(valid.replace("gpu: {", "usd_per_million: {input: 1, output: 1}, gpu: {"))

    assert "the endpoint has two prices" in said


def test_no_price_is_a_warning(problems, warnings, valid):
    text = valid.replace(", usd_per_million: {input: 0.88, output: 0.88}", "")

    assert problems(text) == []
    assert warnings(text)[0].startswith("router.yaml:11: pools.llama-70b.endpoints[0]: has no price")


def test_a_pool_of_spot_machines_alone_is_warned_about(warnings):
    text = ("tiers: {a: {model: m, endpoints: [{url: 'http://h/v1', spot: true, usd_per_million: {input: 1, output: 1}}, "
            "{url: 'http://i/v1', spot: %s, usd_per_million: {input: 1, output: 1}}]}}")

    assert warnings(text % "false") == []
    assert "tiers.a.endpoints: are all `spot`" in warnings(text % "true")[0]


def test_an_unknown_gpu_needs_its_throughput(problems, warnings, valid):
    without = valid.replace(", tokens_per_s: 1000", "")

    assert "nominal figure" in warnings(without)[0]
    [said] = problems(without.replace("RTX 4090", "TPU v5"))
    assert said.startswith("router.yaml:5: tiers.small.endpoints[0].gpu.type: no nominal throughput is known for 'TPU v5'")
    assert problems(valid.replace("RTX 4090", "TPU v5")) == []


@pytest.mark.parametrize("gpu", ["RTX 4090", "rtx4090", "A100 80 GB SXM4", "a100", "H100", "NVIDIA H100 PCIe", "H200", "L4", "14090"])
def test_nominal_throughput_is_known_where_the_catalogue_knows_it(gpu):
    assert has_nominal_throughput(gpu) == (nominal_tokens_per_s(gpu) is not None)


# ---------------------------------------------------------------------------------------------------------
# Listeners and keys


@pytest.mark.parametrize(("host", "is_local"), [
    ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True),
    ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("router.example.com", False), ("", False),
])
def test_loopback_is_known_by_address(host, is_local):
    assert is_loopback(host) is is_local


def test_a_network_address_needs_client_keys(problems, valid):
    opened = valid + "server: {host: 0.0.0.0}\n"

    assert problems(opened) == [
        "router.yaml:14: server.host: '0.0.0.0' can be reached from a network, but there are no client keys; "
        "add auth.keys, or bind 127.0.0.1"
    ]
    assert problems(opened + "auth: {keys: [{name: app, key: '${A_KEY}'}]}\n") == []


def test_workers_are_a_number_or_one_for_each_core(problems, valid):
    for written in ("1", "4", "auto"):
        assert problems(valid + f"server: {{workers: {written}}}\n") == []
    for written in ("0", "many", "1.5"):
        assert any("server.workers" in said for said in problems(valid + f"server: {{workers: {written}}}\n"))


def test_two_listeners_on_one_port_are_a_problem(problems, valid):
    assert "admin.port: 4000 is already the port of `server`" in problems(valid + "admin: {port: 4000}\n")[0]
    assert problems(valid + "server: {port: 0}\nadmin: {port: 0}\n") == []


def test_keys_differ_in_value_and_name_and_name_routes_that_exist(problems, valid):
    keys = ("auth:\n  keys:\n    - {name: app, key: '${A_KEY}'}\n    - {name: app, key: '${B_KEY}'}\n"
            "    - {name: web, key: os.environ/A_KEY, routes: [atuo]}\n")
    said = problems(valid + keys)

    assert said == [
        "router.yaml:17: auth.keys[1].name: the same name as auth.keys[0]; records tell keys apart by name",
        "router.yaml:18: auth.keys[2].key: the same key as auth.keys[0]; each client gets its own key",
        "router.yaml:18: auth.keys[2].routes[0]: route 'atuo' does not exist; did you mean 'auto'?",
    ]
    assert "key-a" not in "".join(said)


def test_a_cascade_that_nobody_looks_for_is_said(warnings, valid):
    on = valid.replace("default_tier: large}", "default_tier: large, cascade: {mode: benefit}}")
    assert any("routes.auto.cascade: never climbs: nobody looks" in line for line in warnings(on))
    assert warnings(on.replace("{mode: benefit}", "{mode: benefit}, verify: [well_formed]")) == []
    one = on.replace("ladder: [small, large]", "ladder: [large]")
    assert any("routes.auto.cascade: never climbs: the ladder has one tier" in line for line in warnings(one))


def test_the_classifiers_tiers_exist_and_its_embedder_is_named(problems, warnings, valid):
    def said(text):
        return problems(f"{valid}classifier: {{{text}}}\n")

    assert any("classifier.models.smal: tier 'smal' does not exist; did you mean 'small'?" in line for line in said("models: {smal: x}"))
    assert any("classifier.sentence: does not say which embedder" in line for line in said("sentence: on"))
    assert any("classifier.sentence_share" in line for line in said("sentence_share: 0"))
    assert any("did you mean 'artifact'?" in line for line in said("artefact: x"))
    assert said("sentence: off, sentence_deadline: 5ms, sentence_cpu: 0.2, sentence_share: 0.1, models: {small: x}") == []


def test_a_classifier_that_no_route_asks_is_said(warnings, valid):
    unread = f"{valid}classifier: {{artifact: somewhere}}\n"

    assert any("classifier: is read by no route" in line for line in warnings(unread.replace("default_tier: large", "default_tier: large, pipeline: [rules]")))
    assert warnings(unread.replace("default_tier: large", "default_tier: large, pipeline: [embedding]")) == []


def test_money_that_cannot_be_compared_is_said(warnings, valid):
    capped = valid.replace("default_tier: large", "default_tier: large, max_usd_per_request: 0.01")
    unpriced = capped.replace(", gpu: {type: RTX 4090, usd_per_hour: 0.51, tokens_per_s: 1000}", "")

    assert warnings(capped) == []
    assert any("routes.auto.max_usd_per_request: tier 'small' has an endpoint without a price" in line for line in warnings(unpriced))


def test_events_of_a_cache_need_a_balancer_that_reads_them(problems, settings, valid):
    def told(fields: str, balancer: str) -> str:
        return valid.replace("    model: qwen-7b\n", f"    model: qwen-7b\n    balancer: {balancer}\n").replace("gpu: {", f"{fields}, gpu: {{")

    events, replay = 'kv_events: "tcp://10.0.0.1:5557"', 'kv_replay: "tcp://10.0.0.1:5558"'
    [endpoint] = settings(told(f"{events}, {replay}", "prefix")).pools["small"].endpoints
    assert (endpoint.kv_events, endpoint.kv_replay) == ("tcp://10.0.0.1:5557", "tcp://10.0.0.1:5558")
    assert "only `balancer: prefix` does" in problems(told(events, "least_loaded"))[0]
    assert "says again what `kv_events` has said" in problems(told(replay, "prefix"))[0]
    assert problems(told('kv_events: "tcp://*:5557"', "prefix")) != []


# -- the judge


TWO_TIERS = """
tiers:
  small: {model: a, endpoints: [{url: "http://127.0.0.1:9/v1"}]}
  large: {model: b, endpoints: [{url: "http://127.0.0.1:9/v1"}]}
"""


def a_route(text):
    return load_text(f"{TWO_TIERS}routes:\n  auto: {text}\n").routes["auto"]


def test_a_judge_is_off_until_it_is_named():
    made = load_text(TWO_TIERS).routes["auto"]

    assert "judge" not in made.pipeline
    assert made.judge == JudgeSettings()


def test_a_judges_settings_arrive_with_their_units():
    made = a_route("{pipeline: [heuristic, judge], judge: {pool: large, deadline: 250ms, below: 0.7, usd_per_hour: off, share: 0.1}}")

    assert made.judge == JudgeSettings(pool="large", deadline_s=0.25, below=0.7, usd_per_hour=None, share=0.1)


@pytest.mark.parametrize(("text", "problem"), [
    ("{pipeline: [judge, heuristic]}", "has stages behind `judge`"),
    ("{pipeline: [heuristic, judge], judge: {pool: lage}}", "pool 'lage' does not exist"),
    ("{pipeline: [heuristic, judge], judge: {band: 0}}", "judge.band"),
    ("{pipeline: [heuristic, judge], judge: {reliability: 1.0}}", "judge.reliability"),
    ("{pipeline: [heuristic, judge], judge: {shair: 0.1}}", "share"),
])
def test_a_judge_that_cannot_be_is_told_with_its_place(text, problem):
    with pytest.raises(ConfigError, match=problem):
        a_route(text)
