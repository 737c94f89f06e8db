"""The same stories on every machine and in every order.

Hypothesis takes constants out of whichever modules of ours are loaded when it makes up a value, and the order of tests is random: so all of
them are loaded first. Nothing depends on how long a story takes, or on what failed on this machine before.
"""

from importlib import import_module
from pkgutil import walk_packages

from hypothesis import HealthCheck, settings

import pointsman

settings.register_profile("repeatable", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")

for module in sorted(found.name for found in walk_packages(pointsman.__path__, "pointsman.") if not found.name.endswith("__main__")):
    import_module(module)
