"""Builds the optional compiled kernel; everything else about the package stands in pyproject.toml.

Without a C compiler, or without Python's headers, the installation goes on: the router then computes with numpy, more
slowly, and says so (`pointsman check`, `/admin/state`, and the last line of `make setup`).
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from setuptools import Extension, setup

KERNEL = Path("src/pointsman/classify/kernel")
HEADERS = [(KERNEL / f"{noun}.h").as_posix() for noun in ("arrays", "head", "looks", "signs", "sums", "table", "text")]
SOURCE = (KERNEL / "_kernel.c").as_posix()
# The kernel knows which source it was made of, so that one left over from before an update is not used (`kernel/build.py`).
DIGEST = hashlib.sha256(b"".join((Path(__file__).parent / file).read_bytes() for file in (SOURCE, *HEADERS))).hexdigest()[:16]
# No -ffast-math and no -march=native: what it computes must be what the tests saw, and run on another machine's processor.
# Nobody asks for floating-point traps, and a compiler that need not keep them can compare eight numbers at once.
FLAGS = [] if sys.platform == "win32" else ["-O3", "-ffp-contract=off", "-fno-trapping-math"]

setup(ext_modules=[Extension("pointsman.classify.kernel._kernel", [SOURCE], depends=HEADERS,
                             define_macros=[("KERNEL_SOURCE", f'"{DIGEST}"')], extra_compile_args=FLAGS, optional=True)])
