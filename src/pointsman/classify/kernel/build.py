"""Which arithmetic runs, the compiled kernel or numpy, and why.

Both compute the same numbers but for rounding. The kernel is built at installation where there is a C compiler; it is not used
when it was made of another source than lies beside it, which is what an update without `make setup` leaves behind.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

VARIABLE = "POINTSMAN_KERNEL"
"""`numpy` in this variable of the environment turns the kernel off: for comparing, and for finding out whether it is to blame. A
variable and no setting, since offline commands score without a configuration and must give the same bits."""
NUMPY = "numpy"
SOURCES = ("_kernel.c", "arrays.h", "head.h", "looks.h", "signs.h", "sums.h", "table.h", "text.h")
"""What the kernel is made of, in the order in which `setup.py` digests it."""


class Build(NamedTuple):
    """What was found."""

    module: Any
    """`_kernel`, or None: numpy computes."""
    why: str
    """Why numpy does; "" when the kernel runs."""

    def __str__(self) -> str:
        return f"compiled ({self.module.instructions})" if self.module is not None else f"numpy, because {self.why}"


@cache
def found() -> Build:
    """The build of this installation, looked for once."""
    if os.environ.get(VARIABLE, "").strip().lower() == NUMPY:
        return Build(None, f"{VARIABLE} says so")
    try:
        module = import_module("pointsman.classify.kernel._kernel")
    except ImportError as exc:
        if isinstance(exc, ModuleNotFoundError):
            return Build(None, "the kernel was not built: install again with a C compiler and Python's headers there")
        return Build(None, f"the kernel cannot be loaded: {exc}")
    return checked(module, Path(__file__).parent)


def checked(module: ModuleType, folder: Path) -> Build:
    """The module, if it was made of the sources in that folder; where they are not installed there is nothing to compare with."""
    try:
        ours = hashlib.sha256(b"".join((folder / name).read_bytes() for name in SOURCES)).hexdigest()[:16]
    except OSError:
        return Build(module, "")
    if module.source != ours:
        return Build(None, "the kernel was built from another version of its source: install again (`make setup`)")
    return Build(module, "")
