from collections import Counter

import msgspec

from pointsman.cli.demonstration.prompts import arrivals, everything


def test_the_set_has_240_distinct_prompts_of_which_60_25_15_percent_are_simple_medium_complex():
    prompts = everything()

    assert Counter(prompt.level for prompt in prompts) == {"simple": 144, "medium": 60, "complex": 36}
    assert len({prompt.shown for prompt in prompts}) == 240


def test_the_set_holds_all_that_the_demo_promises():
    prompts = everything()

    assert {"fact", "extraction", "support", "code", "proof", "document", "tools", "schema"} <= {p.kind for p in prompts}
    assert {"en", "de", "es", "zh", "ja", "ar", "fr"} <= {p.language for p in prompts}
    assert all(len(p.shown.split()) > 1500 for p in prompts if p.kind == "document")
    assert all(len(p.messages) >= 4 for p in prompts if p.kind == "support")
    assert any("tools" in p.fields for p in prompts)
    assert any("response_format" in p.fields for p in prompts)


def test_a_seed_decides_everything():
    assert arrivals(50, seed=3) == arrivals(50, seed=3)
    assert [a.prompt for a in arrivals(50, seed=3)] != [a.prompt for a in arrivals(50, seed=4)]


def test_a_longer_run_begins_like_a_shorter_one():
    assert arrivals(300, seed=1)[:20] == arrivals(20, seed=1)


def test_one_lap_sends_every_prompt_once_and_the_next_begins_again():
    shown = [arrival.prompt.shown for arrival in arrivals(480, seed=1)]

    assert len(set(shown[:240])) == 240
    assert sorted(shown[:240]) == sorted(shown[240:])


def test_a_part_of_a_lap_is_a_fair_sample():
    levels = Counter(arrival.prompt.level for arrival in arrivals(60, seed=1))

    assert 30 <= levels["simple"] <= 42
    assert 10 <= levels["medium"] <= 20
    assert 5 <= levels["complex"] <= 13


def test_arrivals_are_a_mix_of_streamed_and_plain_at_two_a_second():
    found = arrivals(240, seed=1)

    assert found[0].at_s == 0.0
    assert [a.at_s for a in found] == sorted(a.at_s for a in found)
    assert 80 < found[-1].at_s < 160
    assert 0.5 < sum(a.stream for a in found) / 240 < 0.7
    assert all(a.stream for a in found if a.counted)


def test_a_body_says_what_the_arrival_is():
    streamed = next(a for a in arrivals(240, seed=1) if a.counted and a.prompt.kind == "tools")
    plain = next(a for a in arrivals(240, seed=1) if not a.stream)

    body = msgspec.json.decode(streamed.body("auto"))
    assert body["model"] == "auto"
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}
    assert body["tools"][0]["type"] == "function"
    assert "stream" not in msgspec.json.decode(plain.body("auto"))
