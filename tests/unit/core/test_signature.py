from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.core.signature import SKEW_S, check, sign
from pointsman.errors import Unauthorized

GOOD = ("POST", "/endpoints/small/0/drain", b'{"deadline": 30}')


def test_what_was_signed_with_the_key_is_let_in():
    check("k", sign("k", *GOOD, 1000.0), *GOOD, 1000.0)


@pytest.mark.parametrize("told", [
    ("DELETE", *GOOD[1:]), (GOOD[0], "/endpoints/small/1/drain", GOOD[2]), (*GOOD[:2], b'{"deadline": 0}'),
])
def test_nothing_of_it_may_be_changed_on_the_way(told):
    with pytest.raises(Unauthorized, match="does not fit"):
        check("k", sign("k", *GOOD, 1000.0), *told, 1000.0)


def test_another_key_does_not_fit():
    with pytest.raises(Unauthorized, match="does not fit"):
        check("k", sign("other", *GOOD, 1000.0), *GOOD, 1000.0)


def test_an_old_notice_is_told_to_set_its_clock():
    with pytest.raises(Unauthorized, match="set the clocks"):
        check("k", sign("k", *GOOD, 1000.0), *GOOD, 1000.0 + SKEW_S + 1)


@given(st.text(max_size=80))
def test_no_header_but_a_right_one_is_let_in_and_none_breaks_it(header):
    with pytest.raises(Unauthorized):
        check("k", header, *GOOD, 1000.0)
