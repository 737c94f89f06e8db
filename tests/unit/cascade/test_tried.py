"""Who is left to try."""

from pointsman import errors
from pointsman.cascade.tried import Tried
from pointsman.testing.script import a_rung

RUNGS = (a_rung("small", "chosen", endpoints=2), a_rung("large"))


def broken(endpoint, error=None):
    made = error or errors.UpstreamFailed("500")
    made.endpoint = endpoint
    return made


def test_an_endpoint_that_failed_is_excluded_and_may_be_repeated():
    tried = Tried(RUNGS)
    tried.remember(0, broken("small/0"), sent=True, desperate=False)
    assert (tried.exclude, tried.untried(0), tried.offers(0)) == (frozenset({"small/0"}), ("small/1",), True)
    assert tried.repeatable == {"small/0": 0}
    tried.repeating = "small/0"
    assert tried.exclude == frozenset()


def test_what_will_not_pass_is_not_repeated():
    tried = Tried(RUNGS)
    tried.remember(0, broken("small/0", errors.AnswerTimeout("late")), sent=True, desperate=False)
    tried.remember(0, broken("small/1", errors.ConnectFailed("refused", sent=False)), sent=False, desperate=False)
    assert not tried.repeatable
    assert not tried.offers(0)


def test_a_failure_that_names_nobody_ends_the_rung():
    tried = Tried(RUNGS)
    tried.remember(1, errors.NoEndpoint("large"), sent=False, desperate=False)
    assert not tried.offers(1)
    assert tried.offers(1, desperate=True)
    tried.remember(1, errors.NoEndpoint("large"), sent=False, desperate=True)
    assert not tried.offers(1, desperate=True)


def test_ways_are_counted_no_further_than_needed():
    tried = Tried(RUNGS)
    assert (tried.ways(2), tried.ways(9)) == (2, 3)
