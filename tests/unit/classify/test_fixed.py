"""Stages that look at nothing."""

import pytest

from pointsman.classify.fixed import Pinned, RandomSplit
from pointsman.testing.factories import a_request


def test_pinned_always_says_its_tier():
    assert Pinned("medium").classify(a_request("anything"), None).target.name == "medium"
    assert Pinned("medium").name == "pinned:medium"
    assert Pinned("large", "largest").name == "largest"


def test_a_random_split_sends_its_share_to_the_last_tier():
    split = RandomSplit(0.2, ("small", "medium", "large"))
    names = [split.classify(a_request(f"prompt {i}"), None).target.name for i in range(2000)]

    assert set(names) == {"small", "large"}
    assert names.count("large") / 2000 == pytest.approx(0.2, abs=0.03)


def test_a_random_split_can_be_replayed():
    split = RandomSplit(0.5, ("small", "large"))

    assert split.classify(a_request("x"), None) == split.classify(a_request("x"), None)


def test_the_propensity_of_each_end_is_known():
    split = RandomSplit(0.2, ("small", "large"))

    assert (split.propensity("large"), split.propensity("small")) == (0.2, 0.8)
    assert RandomSplit(0.2, ("only",)).propensity("only") == 1.0


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_outside_0_to_1_is_refused(share):
    with pytest.raises(ValueError, match="outside 0 to 1"):
        RandomSplit(share, ("small", "large"))


@pytest.mark.parametrize(("share", "tier"), [(0.0, "small"), (1.0, "large")])
def test_the_ends_are_certain(share, tier):
    split = RandomSplit(share, ("small", "large"))

    assert {split.classify(a_request(str(i)), None).target.name for i in range(50)} == {tier}
