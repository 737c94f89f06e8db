import pytest

from pointsman.cli.demo import DemoFailed, _check_answers, _invitation
from pointsman.cli.demonstration.client import Answer
from pointsman.cli.demonstration.prompts import arrivals


def test_a_failed_request_is_named_with_its_cause():
    seen = [(arrival, Answer(200, {}, 0.1)) for arrival in arrivals(3, seed=1)]
    seen[1] = (seen[1][0], Answer(503, {}, 0.1, error="tier 'large' has no endpoint to try"))

    with pytest.raises(DemoFailed, match=r"^1 of 3 requests failed; the first was number 2 .*no endpoint to try"):
        _check_answers(seen)


def test_the_invitation_is_three_lines_to_paste():
    _, *lines = _invitation("http://127.0.0.1:4000/v1", "engines' clock x4")

    assert len(lines) == 3
    assert lines[0].strip() == "export OPENAI_BASE_URL=http://127.0.0.1:4000/v1 OPENAI_API_KEY=any"
