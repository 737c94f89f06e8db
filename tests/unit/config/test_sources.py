import pytest

from pointsman.config.load import is_configured, provider_keys
from pointsman.config.sources import PROVIDERS, Source, distinct, local_sources, probe_source, url_fault

SECRET = "sk-very-secret"


def test_each_providers_variable_is_found_and_its_value_never_shows() -> None:
    found = provider_keys({provider.variables[0]: SECRET for provider in PROVIDERS} | {"SOME_API_KEY": "x"})

    assert [source.provider for source in found] == [provider.name for provider in PROVIDERS]
    assert all(source.key is not None and source.key.reveal() == SECRET for source in found)
    assert SECRET not in repr(found)
    assert provider_keys({}) == ()
    assert provider_keys({"OPENAI_API_KEY": ""}) == ()


def test_the_second_name_of_a_variable_counts() -> None:
    (google,) = provider_keys({"GOOGLE_API_KEY": SECRET})

    assert (google.provider, google.variable) == ("google", "GOOGLE_API_KEY")


def test_a_moved_openai_is_nobodys_price_list() -> None:
    (moved,) = provider_keys({"OPENAI_API_KEY": SECRET, "OPENAI_BASE_URL": "http://127.0.0.1:9999/v1/"})
    (keyless,) = provider_keys({"OPENAI_BASE_URL": "http://gpu-box:8000/v1"})

    assert (moved.url, moved.provider, moved.variable, moved.is_local) == ("http://127.0.0.1:9999/v1", None, "OPENAI_API_KEY", True)
    assert (keyless.key, keyless.variable, keyless.is_local) == (None, None, True)


def test_the_old_name_of_the_base_url_moves_it_too_so_that_the_key_stays_with_its_server() -> None:
    (moved,) = provider_keys({"OPENAI_API_KEY": SECRET, "OPENAI_API_BASE": "http://127.0.0.1:9999/v1"})
    (both,) = provider_keys({"OPENAI_API_BASE": "http://old:1/v1", "OPENAI_BASE_URL": "http://new:1/v1"})

    assert (moved.url, moved.title) == ("http://127.0.0.1:9999/v1", "OPENAI_API_BASE")
    assert both.url == "http://new:1/v1"


def test_openai_moved_to_a_known_provider_is_that_provider() -> None:
    (moved,) = provider_keys({"OPENAI_API_KEY": SECRET, "OPENAI_BASE_URL": "https://openrouter.ai/api/v1"})

    assert (moved.provider, moved.title, moved.variable) == ("openrouter", "OpenRouter", "OPENAI_API_KEY")


@pytest.mark.parametrize("value", ["has space", "line\nbreak", "käse"])
def test_a_key_that_no_header_takes_is_a_fault_that_names_the_variable(value: str) -> None:
    (found,) = provider_keys({"GROQ_API_KEY": value})

    assert "GROQ_API_KEY" in found.fault
    assert found.key is None
    assert value not in repr(found)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x/v1", "http://u:p@x/v1", "http://x/v1?key=1", "http://", "http://x:99999/v1", "http://a b/"])
def test_a_base_url_that_cannot_be_used_is_a_fault_that_does_not_repeat_it(url: str) -> None:
    (found,) = provider_keys({"OPENAI_API_KEY": SECRET, "OPENAI_BASE_URL": url})

    advice = "; write it as http://host:port/v1"
    assert found.fault == f"{url_fault(url)}{advice}"
    assert url not in repr(found).replace(advice, "")


def test_the_usual_ports_are_tried_without_the_routers_own() -> None:
    assert [source.url for source in local_sources((8000, 4000, 11434), own_port=4000)] == [
        "http://127.0.0.1:8000/v1", "http://127.0.0.1:11434/v1"]


@pytest.mark.parametrize(("text", "url"), [
    ("10.0.0.5:8000", "http://10.0.0.5:8000/v1"), (":8000", "http://127.0.0.1:8000/v1"), ("8000", "http://127.0.0.1:8000/v1"),
    ("https://gpu.example/api/v1/", "https://gpu.example/api/v1"), ("http://box:1/", "http://box:1/v1"),
])
def test_a_probe_is_written_as_people_do(text: str, url: str) -> None:
    assert probe_source(text).url == url


@pytest.mark.parametrize("text", ["", "http://u:p@x:1", "box:port", "a b"])
def test_a_probe_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        probe_source(text)


def test_one_address_is_asked_once_and_the_router_never_itself() -> None:
    named, usual = Source("named", "http://localhost:8000/v1", variable="OPENAI_API_KEY"), Source("usual", "http://127.0.0.1:8000/v1")
    (kept, own) = distinct((named, usual, Source("self", "http://localhost:4000/v1")), own_port=4000)

    assert kept is named
    assert own.fault == "is this router's own address"


@pytest.mark.parametrize(("url", "is_local"), [
    ("http://127.0.0.1:1/v1", True), ("http://10.0.0.5/v1", True), ("http://gpu-box/v1", True), ("https://api.openai.com/v1", False),
    ("http://8.8.8.8/v1", False),
])
def test_local_is_what_is_ones_own(url: str, is_local: bool) -> None:
    assert Source("x", url).is_local is is_local


def test_configured_is_a_named_file_a_variable_or_the_usual_file(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not is_configured(None, {})
    assert is_configured(tmp_path / "missing.yaml", {})
    assert is_configured(None, {"POINTSMAN_CONFIG": "x.yaml"})
    (tmp_path / "pointsman.yaml").write_text("")
    assert is_configured(None, {})
