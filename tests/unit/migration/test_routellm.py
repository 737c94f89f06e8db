"""RouteLLM's command lines as two tiers and a route."""

import pytest

from pointsman.config.load import load_text
from pointsman.migration.routellm import import_routellm


def imported(line):
    migrated = import_routellm(line.split())
    return migrated, load_text(migrated.text, "new", {name: f"value-{name}" for name in migrated.variables})


LINE = ("OPENAI_API_KEY=sk-hidden python -m routellm.openai_server --routers mf bert --strong-model gpt-4o "
        "--weak-model together_ai/meta-llama/Llama-3.1-8B --config config.yaml --port 6060 --workers 4 --verbose router-mf-0.11593")


def test_strong_and_weak_are_a_ladder_and_the_old_name_stays():
    migrated, settings = imported(LINE)

    assert [(settings.pools[t].endpoints[0].provider, settings.pools[t].endpoints[0].model) for t in settings.routes["auto"].ladder] == [
        ("together", "meta-llama/Llama-3.1-8B"), ("openai", "gpt-4o")]
    assert settings.routes["router-mf-0.11593"].ladder == ("weak", "strong")
    assert settings.routes["auto"].quality == 0.8
    assert "sk-hidden" not in repr(migrated)


def test_everything_on_the_line_has_a_sentence():
    migrated, _ = imported(LINE + " --novel 3")
    found = {finding.place: finding for finding in migrated.findings}

    assert {"--routers.mf", "--routers.bert", "--config", "--port", "--workers", "--verbose", "--novel", "--strong-model", "--weak-model",
            "router-mf-0.11593"} <= set(found)
    assert "threshold is not carried" in found["router-mf-0.11593"].sentence


def test_the_share_of_a_random_router_is_carried():
    migrated, settings = imported("--routers random --strong-model gpt-4o --weak-model gpt-4o-mini router-random-0.3")

    assert settings.routes["router-random-0.3"].pipeline == ("rules", "random:0.7")
    assert any(f.fate == "carried" and f.place == "router-random-0.3" for f in migrated.findings)


def test_without_models_it_is_their_default_and_says_so():
    migrated, settings = imported("python -m routellm.openai_server")

    assert settings.pools["strong"].endpoints[0].model == "gpt-4-1106-preview"
    assert settings.pools["weak"].endpoints[0].url == "https://api.endpoints.anyscale.com/v1"
    assert [f.fate for f in migrated.findings if "RouteLLM's own default" in f.sentence] == ["changed", "changed"]


def test_one_address_for_both_models():
    migrated, settings = imported("--strong-model big --weak-model tiny --base-url http://10.0.0.1:8000/v1 --api-key=sk-secret-key")

    assert [(e.url, e.model, e.api_key) for t in ("weak", "strong") for e in settings.pools[t].endpoints] == [
        ("http://10.0.0.1:8000/v1", "tiny", "value-_10_0_0_1_API_KEY"), ("http://10.0.0.1:8000/v1", "big", "value-_10_0_0_1_API_KEY")]
    assert "sk-secret-key" not in repr(migrated)


@pytest.mark.parametrize("words", [[], ["'"], ["--weak-model"], ["--weak-model", "azure/x", "--strong-model", "bedrock/x"], ["--base-url", "nonsense"],
                                   ["python -m routellm.openai_server --routers mf"], ["router-mf-9..9", "--routers", "mystery"]])
def test_no_line_makes_it_fail(words):
    assert import_routellm(words).findings
