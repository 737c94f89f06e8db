"""Where the spans stand that change in a body that is handed on."""

import pytest

from pointsman.server.native import betas_of, native_of


def native(body, dialect="messages", **fields):
    return native_of(dialect, body, **({"is_plain": True, "only_at_origin": ""} | fields))


def test_the_model_and_the_end_are_found_and_the_routers_own_fields_are_cut():
    body = b'{"timeout":3,"model":"auto", "fallbacks":["x"] ,"messages":[]}'
    found = native(body)

    assert body[found.model.start : found.model.end] == b'"auto"'
    assert [body[cut.start : cut.end] for cut in found.cuts] == [b'"timeout":3,', b', "fallbacks":["x"]']
    assert (found.fields_end, found.system) == (len(body) - 1, None)


@pytest.mark.parametrize(("dialect", "field"), [("messages", b"system"), ("responses", b"instructions")])
def test_what_instructs_is_found(dialect, field):
    body = b'{"model":"auto","%b":"Be brief."}' % field
    span = native(body, dialect).system

    assert body[span.start : span.end] == b'"Be brief."'


def test_halves_of_characters_stay_in_the_body():
    body = b'{"model":"auto","messages":[{"role":"user","content":"\\ud83d"}]}'

    assert native(body).body == body


@pytest.mark.parametrize(("system", "cut"), [
    (b'[{"type":"text","text":"x-anthropic-billing-header: a;"}, {"type":"text","text":"b"}]', b'{"type":"text","text":"x-anthropic-billing-header: a;"}, '),
    (b'[{"type":"text","text":"x-anthropic-billing-header: a;"}]', None), (b'[{"type":"text","text":"b"}]', None), (b'"x-anthropic-billing-header"', None),
])
def test_claude_codes_accounting_is_found(system, cut):
    body = b'{"model":"auto","system":' + system + b"}"
    billing = native(body).billing

    assert (None if billing is None else body[billing.start : billing.end].rstrip() + b" ") == cut


def test_what_has_no_translation_is_not_plain():
    found = native(b'{"model":"auto"}', only_at_origin="a PDF")

    assert (found.is_plain, found.only_at_origin) == (False, "a PDF")


def test_without_a_model_there_is_nothing_to_replace():
    assert native(b'{"messages":[]}') is None


@pytest.mark.parametrize(("header", "known"), [
    (b"a-2025,b_1.2", "a-2025,b_1.2"), (b"", ""), (b"a\r\nx: y", ""), (b"\xff", ""), (b"a" * 1025, ""),
])
def test_betas_are_handed_on_when_they_are_some(header, known):
    assert betas_of(header) == known
