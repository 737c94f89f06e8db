"""One verdict on every machine: no test hears of a busy processor, and Hypothesis tells the same stories whatever else is loaded."""

import asyncio
import os

from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from pointsman.core.clock import SystemClock
from pointsman.testing.patient_time import Patience, now

# Matrices of fifty rows need one thread. With one per processor OpenBLAS spins where another test has them: 65 s for what takes half a second.
# Read when numpy is first loaded, which nothing above does; other processes that tests start inherit it.
os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

# A client, a router and engines on one loop: that the machine stood still for a second is no timeout of theirs.
asyncio.set_event_loop_policy(Patience())
SystemClock.now = staticmethod(now)

# Nothing depends on how long a story takes, or on what failed on this machine before.
settings.register_profile("repeatable", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")

# Hypothesis takes constants out of whichever modules lie outside site-packages and are loaded by then: which these are differs with the order of
# tests and with the path of the checkout, and each edit of the source would tell new stories. So it takes none. (It has no setting for that.)
if not hasattr(providers, "_get_local_constants"):
    raise RuntimeError("Hypothesis gathers constants in another way than in 6.170: tests/conftest.py must stop it anew")
providers._get_local_constants = lambda: providers._local_constants
