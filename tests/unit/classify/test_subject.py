"""What classifiers look at: the user's own last words."""

from pointsman.classify.subject import all_text, own_words, subject
from pointsman.core.request import Message
from pointsman.testing.factories import a_request

REMINDER = "<system-reminder>\nRemember the todo list. def f(): prove that\n</system-reminder>"


def turns(*pairs):
    return a_request(messages=tuple(Message(role, text) for role, text in pairs))


def test_the_last_user_text_is_the_subject():
    about = subject(turns(("system", "Be kind."), ("user", "old"), ("assistant", "answer"), ("user", "new")))

    assert (about.text, about.chars, about.cut) == ("new", 3, False)


def test_harness_blocks_are_set_aside():
    assert subject(turns(("user", f"{REMINDER}\nWhat time is it?\n{REMINDER}"))).text == "What time is it?"


def test_a_turn_of_only_harness_text_falls_back_to_the_last_real_one():
    assert subject(turns(("user", "Fix the login"), ("assistant", "ok"), ("user", REMINDER))).text == "Fix the login"


def test_tool_results_are_no_user_text():
    request = turns(("user", "Where is my parcel?"), ("assistant", ""), ("tool", "Traceback (most recent call last)"))

    assert subject(request).text == "Where is my parcel?"


def test_names_of_blocks_match_in_any_case_and_spelling():
    for tag in ("environment_context", "ENVIRONMENT-CONTEXT", "environment_details", "tool_result", "permissions instructions"):
        assert own_words(f"<{tag}>cwd: /srv</{tag}>\nHello")[0] == "Hello", tag


def test_a_tag_with_attributes_is_a_block_too():
    assert own_words('<tool_result id="3">42</tool_result>Thanks')[0] == "Thanks"


def test_an_opening_tag_that_nothing_closes_is_text():
    assert own_words("What does <system-reminder> mean?")[0] == "What does <system-reminder> mean?"


def test_ordinary_markup_stays():
    assert own_words("<b>bold</b> and a < b")[0] == "<b>bold</b> and a < b"


def test_only_the_inside_of_a_user_query_counts():
    assert own_words("<user_info>linux</user_info>\n<user_query>\nRename it\n</user_query>")[0].strip() == "Rename it"


def test_a_long_text_is_cut_to_head_and_tail():
    about = subject(a_request("a" * 20_000 + "b" * 20_000))

    assert about.cut
    assert about.chars == 40_000
    assert about.text == "a" * 8192 + "\n" + "b" * 8192


def test_cutting_counts_bytes_and_never_splits_a_character():
    about = subject(a_request("中文" * 20_000))

    assert len(about.data) <= 2 * 8192 + 1
    assert set(about.text) == {"中", "文", "\n"}


def test_a_question_behind_a_huge_block_is_found():
    text = f"<system-reminder>{'x' * 300_000}</system-reminder>\nWhat are your business hours?"

    assert subject(a_request(text)).text == "What are your business hours?"


def test_a_block_at_the_end_of_a_huge_text_is_set_aside():
    about = subject(a_request("word " * 60_000 + REMINDER))

    assert "todo list" not in about.text
    assert about.text.endswith("word")


def test_a_huge_text_full_of_blocks_keeps_what_follows():
    about = subject(a_request(REMINDER * 4000 + "What now?"))

    assert about.text.endswith("What now?")


def test_no_user_text_gives_an_empty_subject():
    assert subject(turns(("system", "Be kind."))).is_empty()
    assert subject(turns(("user", "  \n"))).is_empty()


def test_all_text_holds_every_message_as_sent():
    assert all_text((Message("system", "You are Agent 7"), Message("user", REMINDER))) == f"You are Agent 7\n{REMINDER}".encode()


def test_all_text_of_a_long_conversation_is_its_head_and_tail():
    data = all_text((Message("system", "first"), *(Message("user", "x" * 9000) for _ in range(20)), Message("user", "last")))

    assert data.startswith(b"first")
    assert data.endswith(b"last")
    assert len(data) <= 2 * 16 * 1024 + 1


def test_lone_surrogates_do_not_break_it():
    assert subject(a_request(messages=(Message("user", "hi"),))).data == b"hi"
    assert own_words("\ud800<")[1] == 2
    assert all_text((Message("user", "\ud800"),)) == b"?"


def test_two_blanks_between_words_say_what_one_says():
    for text in ("Is it true?  Prove it.", "word " * 400, "word " * 9000, "<tool_result>1  2</tool_result>What  now?"):
        once, twice = subject(a_request(text)), subject(a_request(text.replace(" ", "  ")))
        if len(text) < 40_000:
            assert twice == once
        else:
            assert (twice.text, twice.cut) == (once.text, once.cut)
            assert abs(twice.chars - once.chars) < 0.01 * once.chars


def test_indentation_counts_and_is_kept():
    text = "if a:\n    b()\n" * 700

    assert subject(a_request(text)).text == text.strip()


def test_shouting_is_read_as_speech():
    assert subject(a_request("PROVE IT. " * 3)).text == "Prove it. Prove it. Prove it."
    assert subject(a_request("PROVE IT. " * 3000)).text.startswith("Prove it. Prove it.")


def test_rules_count_what_was_sent():
    about = subject(a_request("a  b"), 16 * 1024, as_sent=True)

    assert (about.text, about.chars) == ("a  b", 4)
