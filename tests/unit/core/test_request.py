from __future__ import annotations

import pytest

from pointsman.core.request import Caller, Limits
from pointsman.testing.factories import a_request

HIGH, NORMAL, LOW = 0, 1, 2


@pytest.mark.parametrize(("own", "best", "asked", "found"), [
    (NORMAL, HIGH, None, NORMAL), (NORMAL, HIGH, HIGH, HIGH), (NORMAL, NORMAL, HIGH, NORMAL), (NORMAL, NORMAL, LOW, LOW),
    (LOW, LOW, None, LOW), (LOW, LOW, NORMAL, LOW),
])
def test_a_request_has_the_priority_that_it_asks_for_and_its_keys_best_at_most(own, best, asked, found):
    request = a_request(caller=Caller("key", priority=own, best_priority=best), limits=Limits(priority=asked))
    assert request.priority == found


def test_a_share_is_the_tenants_and_else_the_keys():
    assert a_request(caller=Caller("key", tenant="acme")).share_of == "acme"
    assert a_request(caller=Caller("key")).share_of == "key"
    assert a_request().share_of == "anonymous"
