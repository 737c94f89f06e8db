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


def test_thoughts_that_anthropic_never_had_are_not_shown_to_it():
    unsigned = b'{"type":"thinking","thinking":"hm","signature":""}'
    signed = b'{"type":"thinking","thinking":"ah","signature":"s"}'
    body = (b'{"model":"auto","thinking":{"type":"enabled","budget_tokens":1024},"messages":[{"role":"user","content":"hi"},'
            b'{"role":"assistant","content":[' + signed + b',{"type":"text","text":"1e2"}]},{"role":"assistant","content":[' + unsigned + b"]},"
            b'{"role":"assistant","content":[' + unsigned + b',{"type":"tool_use","id":"t","name":"f","input":{"x":1.50}}]},'
            b'{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"7"}]}]}')
    found = native(body, has_unsigned=True)
    (messages, said), (thinking, off) = found.for_origin

    assert body[messages.start : messages.end].startswith(b'[{"role":"user"')
    assert said == (b'[{"role":"user","content":"hi"},{"role":"assistant","content":[' + signed + b',{"type":"text","text":"1e2"}]},'
                    b'{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{"x":1.50}}]},'
                    b'{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"7"}]}]')
    assert (body[thinking.start : thinking.end][:8], off) == (b'{"type":', b'{"type":"disabled"}')
    assert native(body).for_origin == ()


def test_a_new_turn_may_think_again():
    body = (b'{"model":"auto","thinking":{"type":"enabled"},"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"hm"}]},'
            b'{"role":"user","content":"And?"}]}')

    assert [said for _, said in native(body, has_unsigned=True).for_origin] == [b'[{"role":"user","content":"And?"}]']
