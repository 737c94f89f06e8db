from pathlib import Path

import pytest

from pointsman.config.secrets import WITHHELD, BadReference, Secrets


def a_secrets(base=Path(), **environ):
    return Secrets(environ, base)


@pytest.mark.parametrize("reference", ["${MY_KEY}", "os.environ/MY_KEY"])
def test_a_variable_gives_the_secret(reference):
    assert a_secrets(MY_KEY="s3cret").resolve(reference) == "s3cret"


def test_a_file_is_relative_to_the_configuration_and_loses_one_newline(tmp_path):
    (tmp_path / "key").write_text("s3cret\r\n")

    assert a_secrets(tmp_path).resolve("file:key") == "s3cret"


@pytest.mark.parametrize(
    "literal", ["sk-abcdef123", "${MY_KEY", "x${MY_KEY}", "${MY-KEY}", "$MY_KEY", "os.environ/a-b", 123456, ["sk-abcdef123"]]
)
def test_a_literal_is_refused_and_never_shown(literal):
    with pytest.raises(BadReference) as caught:
        a_secrets(MY_KEY="s3cret").resolve(literal)

    assert str(literal) not in str(caught.value)
    assert "${NAME}" in str(caught.value)


def test_a_missing_variable_is_named():
    with pytest.raises(BadReference, match="environment variable MY_KEY is not set"):
        a_secrets().resolve("${MY_KEY}")


@pytest.mark.parametrize("value", ["", "two words", "line\nbreak", "sch\u00f6n"])
def test_a_secret_that_no_header_can_carry_is_refused_unseen(value):
    with pytest.raises(BadReference) as caught:
        a_secrets(MY_KEY=value).resolve("${MY_KEY}")

    assert not value or value not in str(caught.value)


def test_secret_files_that_cannot_be_used_say_why(tmp_path):
    (tmp_path / "large").write_bytes(b"x" * 70_000)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    secrets = a_secrets(tmp_path)

    for name, why in (("none", "cannot be read"), ("large", "larger than"), ("binary", "not UTF-8"), ("\0", "not a usable path")):
        with pytest.raises(BadReference, match=why):
            secrets.resolve(f"file:{name}")


def test_whoever_may_lack_secrets_is_given_a_name_for_each(tmp_path):
    secrets = Secrets({"SET": "value"}, tmp_path, may_lack=True)

    assert secrets.resolve("${SET}") == "value"
    assert secrets.resolve("${UNSET}") == f"{WITHHELD}UNSET"
    assert secrets.resolve("file:not-there") == f"{WITHHELD}not-there"
    with pytest.raises(BadReference):
        secrets.resolve("literal")
