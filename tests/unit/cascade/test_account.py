"""What `explain` says of a cascade."""

from pointsman.cascade.account import account_of, account_of_threshold
from pointsman.cascade.benefit import Benefit, Prospect


def test_the_break_evens_are_told_in_words():
    rule = Benefit({"small": Prospect(0.86, 0.1, None, 10), "large": Prospect(0.98, 1.0, None, 100)}, enough=0.8)
    head, line = account_of(rule, 2)
    assert head == "cascade by benefit, at most 2 climbs; an answer is given from P(acceptable) 0.80 on"
    assert line.startswith("  small -> large: costs 0.20 in quality, climbs below 0.")
    assert "always asking large is cheaper once 90% climb" in line


def test_what_is_never_worth_it_says_so():
    rule = Benefit({"small": Prospect(0.9), "large": Prospect(0.9, 1.0)}, price_weight=1.0)
    assert account_of(rule, 1)[0].startswith("cascade by benefit, at most one climb")
    assert account_of(rule, 1)[1].endswith("and is never worth it")


def test_a_plain_threshold_is_called_one():
    assert account_of_threshold({"small": 0.5}, 1) == ["cascade by plain threshold, at most one climb: small accepts from 0.50"]


def test_the_kind_of_work_is_told_where_something_was_measured_by_it():
    rule = Benefit({"small": Prospect(0.9), "large": Prospect(0.95, 1.0)})
    assert account_of(rule, 1, "code")[0].startswith("cascade by benefit on 'code', at most")
    assert account_of_threshold({"small": 0.5}, 1, "code")[0].startswith("cascade by plain threshold on 'code', at most")
