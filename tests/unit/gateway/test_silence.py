"""A failed question as what its stage says."""

import pytest

from pointsman.errors import AnswerTimeout, BadAnswer, ConnectFailed, RateLimited
from pointsman.gateway.consulting import StageBusy, StageSilent
from pointsman.gateway.silence import silence


@pytest.mark.parametrize(("error", "kind", "said"), [
    (AnswerTimeout("late"), StageSilent, ("it did not answer in time", "slow", "late")),
    (ValueError("no tier"), StageSilent, ("no tier", "garbage", "abstained")),
    (BadAnswer("html"), StageSilent, ("html", "garbage", "abstained")),
    (RateLimited("wait"), StageBusy, ("it is full: wait", "busy", "abstained")),
    (ConnectFailed("gone"), StageSilent, ("gone", "down", "failed")),
])
def test_each_way_to_fail_has_its_sentence_its_word_and_its_outcome(error, kind, said):
    silent = silence(error)

    assert type(silent) is kind
    assert (str(silent), silent.result, silent.outcome) == said


def test_a_long_reason_is_cut():
    assert len(str(silence(ConnectFailed("x" * 5000)))) == 200
