from pathlib import Path

import pytest

from pointsman.config.load import find, load, load_with_warnings
from pointsman.errors import ConfigError

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
BROKEN = """\
server: {host: 127.0.0.1, prot: 4000}
admin: {token: sk-literal-admin-token}
tiers:
  small:
    model: a
    endpoints: [{url: "ftp://x", slots: many}]
  large: {pools: [llama]}
  large: {pools: [llama]}
pools:
  llama:
    model: b
    endpoints: [{api_key: "${MISSING}"}]
routes:
  auto: {ladder: [small, lrage], deadline: 600, quality: 2}
"""


def test_all_problems_are_reported_together(problems):
    said = problems(BROKEN)

    assert [line.split(":")[1] + line.split(":")[2] for line in said] == [
        "1 server.prot", "2 admin.token", "6 tiers.small.endpoints[0].slots", "6 tiers.small.endpoints[0].url",
        "8 tiers.large", "12 pools.llama.endpoints[0]", "12 pools.llama.endpoints[0].api_key",
        "14 routes.auto.deadline", "14 routes.auto.ladder[1]", "14 routes.auto.quality",
    ]
    assert "sk-literal" not in "".join(said)
    assert "environment variable MISSING is not set" in said[6]


def test_a_broken_part_is_no_reason_to_blame_what_refers_to_it(problems, valid):
    said = problems(valid.replace("    model: llama-3.3-70b\n", "").replace("model: qwen-7b", "model: [x]"))

    assert len(said) == 2, said


def test_a_value_that_could_not_be_read_is_reported_once(problems, valid):
    assert len(problems(valid + "server: {port: 0123}\n")) == 1


@pytest.mark.parametrize(("text", "sentence"), [
    ("", "the file is empty"), ("# nothing\n", "the file is empty"), ("- a\n", "the file is not a mapping"),
    ("just words", "the file is not a mapping"), ("pools: {}", "`tiers` is missing"), ("tiers: {}", "must not be empty"),
])
def test_a_file_without_tiers_is_a_problem(problems, text, sentence):
    [said] = problems(text)

    assert said.startswith("router.yaml:1: ")
    assert sentence in said


def test_a_file_that_cannot_be_read_is_a_problem_with_the_next_step(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml:1: file: cannot be read: No such file or directory; name one with"):
        load(tmp_path / "none.yaml", {})


def test_a_file_of_litellms_is_told_with_the_command_that_makes_one_of_ours(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("general_settings: {}\nmodel_list:\n  - {model_name: a, litellm_params: {model: openai/a}}\n")

    with pytest.raises(ConfigError) as caught:
        load(file)

    assert caught.value.problems == (
        f"{file}:2: model_list: this is a configuration of LiteLLM's; `pointsman import litellm {file} --output pointsman.yaml` "
        "makes one of it",)


def test_a_file_in_another_encoding_names_the_line(tmp_path):
    (tmp_path / "a.yaml").write_bytes("tiers:\n  größe: {}\n".encode("latin-1"))

    with pytest.raises(ConfigError, match=r"a\.yaml:2: file: is not UTF-8"):
        load(tmp_path / "a.yaml", {})


def test_a_large_file_is_refused(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"#" * (1024 * 1024 + 1))

    with pytest.raises(ConfigError, match="larger than"):
        load(tmp_path / "a.yaml", {})


def test_secret_files_are_relative_to_the_configuration(tmp_path, valid):
    (tmp_path / "token").write_text("s3cret\n")
    (tmp_path / "a.yaml").write_text("\ufeff" + valid + "admin: {token: 'file:token'}\n", "utf-8")

    assert load(tmp_path / "a.yaml", {}).admin.token == "s3cret"


def test_the_file_is_the_named_one_else_the_environments_else_the_usual():
    assert find(Path("a.yaml"), {"POINTSMAN_CONFIG": "b.yaml"}) == Path("a.yaml")
    assert find(None, {"POINTSMAN_CONFIG": "b.yaml"}) == Path("b.yaml")
    assert find(None, {}) == Path("pointsman.yaml")


def test_the_process_environment_is_read_when_none_is_given(tmp_path, valid, monkeypatch):
    monkeypatch.setenv("POINTSMAN_TEST_TOKEN", "from-outside")
    (tmp_path / "a.yaml").write_text(valid + "admin: {token: '${POINTSMAN_TEST_TOKEN}'}\n", "utf-8")

    assert load(tmp_path / "a.yaml").admin.token == "from-outside"


@pytest.mark.parametrize("name", ["three_tiers.yaml", "one_tier.yaml"])
def test_the_examples_are_good(name):
    loaded = load_with_warnings(EXAMPLES / name, {"SUPPORT_APP_KEY": "a", "TOGETHER_API_KEY": "b"})

    assert "auto" in loaded.settings.routes


def test_the_large_example_says_nothing_to_warn_about():
    loaded = load_with_warnings(EXAMPLES / "three_tiers.yaml", {"SUPPORT_APP_KEY": "a", "TOGETHER_API_KEY": "b"})

    assert loaded.warnings == ()
    assert loaded.settings.routes["auto"].ladder == ("small", "medium", "large")
