"""Real vLLM for `make test-real`; the ordinary run leaves this folder out."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent))  # tests are no package, and these modules are of use here only

# Only `make test-real` sets it: starting the engines takes minutes.
if "POINTSMAN_TEST_REAL" not in os.environ:
    collect_ignore_glob = ["test_*.py"]
else:
    from engine import Vllm
    from home import is_ready
    from results import Results

    RESULTS = Results()

    def pytest_sessionstart() -> None:
        if not is_ready():
            pytest.exit("real vLLM is not installed; `make test-real` does it", returncode=2)

    def pytest_runtest_logreport(report: pytest.TestReport) -> None:
        RESULTS.hear(report)

    def pytest_sessionfinish() -> None:
        RESULTS.tell()

    @pytest.fixture
    def measured(request: pytest.FixtureRequest) -> Callable[[str], None]:
        """`measured("slot free after 0.3 s")`: what goes beside the test's name into the table."""
        return lambda what: RESULTS.measured(request.node.nodeid, what)

    @pytest.fixture(scope="session")
    def engines() -> Iterator[dict[str, Vllm]]:
        """Two that outlive every test, started together: `roomy` has eight seats and a KV cache for 1,536 tokens; `narrow` runs
        one request, lets none queue, and keeps its figures to itself."""
        begun = time.monotonic()
        roomy = Vllm("--max-num-seqs", "8", "--num-gpu-blocks-override", "12", "--no-enable-prefix-caching")
        narrow = Vllm("--max-num-seqs", "1", "--max-num-queued-reqs", "1", "--disable-log-stats")
        try:
            roomy.begin()
            narrow.begin()
            roomy.wait()
            narrow.wait()
            RESULTS.version, RESULTS.started_in_s = roomy.version(), time.monotonic() - begun
            yield {"roomy": roomy, "narrow": narrow}
        finally:
            roomy.close()
            narrow.close()

    @pytest.fixture(scope="session")
    def roomy(engines: dict[str, Vllm]) -> Vllm:
        return engines["roomy"]

    @pytest.fixture(scope="session")
    def narrow(engines: dict[str, Vllm]) -> Vllm:
        return engines["narrow"]

    @pytest.fixture
    def calm(roomy: Vllm) -> Vllm:
        """`roomy` when nothing of the test before runs there any more."""
        until = time.monotonic() + 60
        while left := roomy.running() + roomy.waiting():
            if time.monotonic() > until:
                raise RuntimeError(f"{left} requests of the test before still run or wait at {roomy}")
            time.sleep(0.1)
        return roomy
