"""What the words for bad engines mean."""

import pytest

from pointsman.testing.engine_trouble import Trouble, trouble_of


@pytest.mark.parametrize(("text", "trouble"), [
    ("slow=3", Trouble(slow=3.0)), ("dies=60", Trouble(dies_at=60.0)), ("lies", Trouble(lies=True)),
    ("notice=30", Trouble(notice_at=30.0)), ("slow=2+lies", Trouble(slow=2.0, lies=True)),
])
def test_words_become_troubles(text: str, trouble: Trouble) -> None:
    assert trouble_of(text) == trouble


@pytest.mark.parametrize("text", ["", "slow", "slow=0", "slow=x", "dies=-1", "dies=inf", "dies=nan", "lies=1", "sleepy=3"])
def test_other_words_are_refused_with_those_that_exist(text: str) -> None:
    with pytest.raises(ValueError, match="slow=TIMES"):
        trouble_of(text)


def test_an_announced_engine_ends_two_minutes_later_or_when_it_dies() -> None:
    assert (trouble_of("notice=30").ends_at, trouble_of("notice=30+dies=40").ends_at, Trouble().ends_at) == (150, 40, None)
