import pytest

from pointsman.config.document import MAX_NODES, Document


def said(text):
    return [(p.loc, p.line, p.sentence) for p in Document(text).problems]


def test_values_are_plain_and_every_place_has_its_line():
    document = Document("a:\n  b: [1, 2.5, yes]\n  c:\n    - x\n    - {d: null}\n")

    assert document.data == {"a": {"b": [1, 2.5, True], "c": ["x", {"d": None}]}}
    assert document.lines[("a", "b")] == 2
    assert document.lines[("a", "c", 1)] == 5
    assert document.lines[("a", "c", 1, "d")] == 5
    assert document.problems == []


def test_a_key_given_twice_is_a_problem_at_the_second():
    assert said("a: 1\nb: 2\na: 3\n") == [(("a",), 3, "this key is given twice")]


@pytest.mark.parametrize("number", ["0123", "0x10", "1:30", "0b11", "9" * 30])
def test_numbers_that_yaml_reads_otherwise_are_problems_and_not_repeated(number):
    [(loc, line, sentence)] = said(f"port: {number}")

    assert (loc, line) == (("port",), 1)
    assert number not in sentence


def test_a_base_sixty_float_is_a_problem():
    assert "base 60" in said("x: 1:30.5")[0][2]


@pytest.mark.parametrize(("key", "what"), [("no", "a boolean"), ("on", "a boolean"), ("1", "a number"), ("~", "null")])
def test_a_key_that_yaml_reads_as_something_else_is_a_problem(key, what):
    assert said(f"{key}: 1")[0][2] == f"YAML reads the key `{key}` as {what}"


def test_a_date_stays_text():
    assert Document("reason: 2026-04-05").data == {"reason": "2026-04-05"}


def test_merge_keys_are_merged_and_overridden_by_own_keys():
    document = Document("x: &base {a: 1, b: 2}\ny:\n  <<: *base\n  b: 3\n")

    assert document.data["y"] == {"a": 1, "b": 3}
    assert document.problems == []


@pytest.mark.parametrize("text", ["a: !!python/object/apply:os.system [ls]", "a: !secret x", "a: !!binary aGk=", "!!set {a}"])
def test_tags_are_refused(text):
    assert any("YAML tags are not supported" in sentence for _, _, sentence in said(text))


def test_an_alias_bomb_is_bounded():
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    document = Document("\n".join(levels))

    assert "aliases are expanded" in document.problems[0].sentence
    assert len(document.lines) <= MAX_NODES + 100


@pytest.mark.parametrize("text", ["a: &a [*a]", "[" * 5000, "a: " + "[" * 40 + "]" * 40])
def test_bottomless_nesting_is_a_problem(text):
    assert Document(text).problems


@pytest.mark.parametrize("text", ["a: [1", "a: b: c", "\t- x", "a: '", "--- 1\n--- 2\n", "*x", 'a: "\\UFFFFFFFF"', "a: \x01"])
def test_text_that_is_no_yaml_is_a_problem_with_a_line(text):
    document = Document(text)

    assert len(document.problems) == 1
    assert 1 <= document.problems[0].line <= text.count("\n") + 1


def test_a_syntax_error_names_its_line():
    assert said("a: 1\nb: 2\nc: d: e\n")[0][1] == 3


def test_half_a_character_is_a_problem():
    assert "surrogate" in said('a: "\\uD800"')[0][2]
