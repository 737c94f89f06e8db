"""The tests mirror the source, so that whoever opens one finds the other."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "tests" / "unit"
SOURCE = ROOT / "src" / "pointsman"
FOLDERS = {"unit", "properties", "integration", "acceptance", "architecture", "docs", "fixtures", "real"}
ELSEWHERE = {
    "bench/test_throughput_figures.py": "bench/throughput/figures.py",  # benches are no part of the package
    "bench/test_environment.py": "bench/environment.py",
    "bench/test_conformance_clients.py": "bench/conformance/client.py",
    "bench/test_conformance_table.py": "bench/conformance/table.py",
    "bench/test_throughput_rivals.py": "bench/throughput/rivals.py",
    "bench/test_fleet_ramp.py": "bench/fleet/ramp.py",
    "bench/test_matrix_cells.py": "bench/matrix/cells.py",
    "bench/test_quality.py": "bench/quality/cells.py",
    "bench/test_fleet_virtual.py": "bench/fleet/virtual.py",
    "classify/test_golden_prompts.py": "src/pointsman/classify/heuristic.py",  # what it must never get wrong again
}


def unit_tests():
    return sorted(path.relative_to(UNIT).as_posix() for path in UNIT.rglob("*.py") if path.name != "conftest.py")


@pytest.mark.parametrize("name", unit_tests())
def test_a_unit_test_has_its_module(name):
    if name in ELSEWHERE:
        assert (ROOT / ELSEWHERE[name]).is_file()
        return
    folder, _, file = name.rpartition("/")
    assert file.startswith("test_"), "a unit test is named test_<module>.py"
    module = SOURCE / folder / file.removeprefix("test_")

    assert module.is_file(), f"nothing to test at {module.relative_to(ROOT)}"


def test_no_exception_is_stale():
    assert set(ELSEWHERE) <= set(unit_tests())


def test_every_folder_of_tests_is_a_known_kind():
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}

    assert folders <= FOLDERS


def test_unit_tests_start_no_router_and_no_fleet():
    """Those are for the integration tests, as is what waits for real time."""
    guilty = {}
    for name in unit_tests():
        text = (UNIT / name).read_text("utf-8")
        found = [word for word in ("time.sleep(", "RunningRouter(", "simulated_fleet(") if word in text]
        if found:
            guilty[name] = found

    assert guilty == {}
