"""The table of faults: every one can be performed, and is told apart."""

from __future__ import annotations

import pytest

from pointsman.testing.fault_catalogue import Fault
from pointsman.testing.fault_connections import CONNECTIONS, LINES
from pointsman.testing.fault_replies import STATUSES, STREAMS
from pointsman.testing.fault_steps import Asked, Step

FAULTS = (*CONNECTIONS, *STATUSES, *STREAMS, *LINES)


def test_no_two_faults_have_one_number():
    ids = [fault.id for fault in FAULTS]

    assert len(set(ids)) == len(ids)
    assert all(name.replace("-", "").isalnum() for name in ids), "they are names of routes"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_a_fault_can_be_performed_and_repeated(fault: Fault):
    for stream in (True, False):
        if fault.kind(stream=stream) is not None and fault.scenario.listens and fault.scenario.accepts:
            asked = Asked("r1", stream=stream)
            steps = list(fault.scenario.plan(asked))
            assert steps
            assert all(isinstance(step, Step) for step in steps)
            assert list(fault.scenario.plan(asked)) == steps, "what happens follows from the request's id"


def test_the_published_numbers_are_there():
    """Those that are missing are told in bench/matrix/run.py, with the reason."""
    numbers = {fault.id.partition("-")[0] for fault in FAULTS}

    assert {f"U{n:02}" for n in range(1, 49)} - numbers == {"U04"}
