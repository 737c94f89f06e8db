"""`pointsman evaluate --cascade` and `pointsman calibrate --cascade`."""

import json

import pytest

np = pytest.importorskip("numpy")

from typer.testing import CliRunner  # noqa: E402

from pointsman.cli.main import app  # noqa: E402
from pointsman.config.load import load_text  # noqa: E402

ROWS = 60


@pytest.fixture
def data(tmp_path):
    draw = np.random.default_rng(0)
    path = tmp_path / "judged.jsonl"
    with path.open("w") as file:
        for query in range(ROWS):
            for tier, right, usd in (("small", 0.5, 1.0), ("large", 0.95, 10.0)):
                good = bool(draw.random() < right)
                file.write(json.dumps({"query": query, "tier": tier, "quality": good, "usd": usd, "features": {"mean": -0.2 - (not good) + draw.random() / 2}}) + "\n")
    return path


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_comparison_is_a_table_with_a_verdict_and_a_picture(data, tmp_path):
    result = run("evaluate", data, "--cascade", "--plot", tmp_path / "curves.svg")

    assert result.exit_code == 0, result.output
    for name in ("always cheapest", "routing alone", "cascade, threshold", "routing + cascade", "oracle"):
        assert name in result.output
    assert "cascades pay here" in result.output
    assert (tmp_path / "curves.svg").read_text().startswith("<svg")


def test_the_comparison_as_json(data):
    found = json.loads(run("evaluate", data, "--cascade", "--json").output)

    assert found["rows"] == ROWS
    assert {"p50_s", "p95_s", "p99_s", "area"} <= set(found["standings"][0])


def test_the_settings_are_yaml_that_the_configuration_takes(data):
    result = run("calibrate", data, "--cascade")
    yaml = result.output[result.output.index("tiers:"):]

    assert result.exit_code == 0, result.output
    assert "accept_at" in yaml
    settings = yaml.replace("  small:\n", "  small:\n    model: m\n    endpoints: [{url: 'http://127.0.0.1:1/v1'}]\n")
    settings += "\n  large:\n    model: n\n    endpoints: [{url: 'http://127.0.0.1:1/v1'}]\n"
    assert load_text(settings).tiers["small"].accept_at is not None


def test_what_is_different_on_a_kind_of_work_is_yaml_too(tmp_path):
    draw = np.random.default_rng(0)
    path = tmp_path / "judged.jsonl"
    with path.open("w") as file:
        for query in range(240):
            task = "code" if query % 2 else "tools"
            for tier, right, usd in (("small", 0.5, 1.0), ("large", 0.95, 10.0)):
                good = bool(draw.random() < right)
                said = 0.9 if good != bool(draw.random() < (0.05 if task == "tools" else 0.4)) else 0.1
                file.write(json.dumps({"query": query, "task": task, "tier": tier, "quality": good, "usd": usd, "verified": said}) + "\n")
    output = run("calibrate", path, "--cascade", "--verifier", "http").output
    yaml = output[output.index("tiers:"):].replace("- http: {", "- http: {url: 'http://127.0.0.1:1', ")
    yaml = yaml.replace("  small:\n", "  small:\n    model: m\n    endpoints: [{url: 'http://127.0.0.1:1/v1'}]\n", 1)
    tier = load_text(yaml + "\n  large:\n    model: n\n    endpoints: [{url: 'http://127.0.0.1:1/v1'}]\n").tiers["small"]

    assert tier.overlap["large"] < 0.3, "they succeed by chance on the same queries"
    assert set(tier.by_task) == {"code", "tools"}
    assert tier.by_task["tools"].verify["http"].rates.misses < 0.2 < tier.by_task["code"].verify["http"].rates.misses


def test_calibration_as_json(data):
    found = json.loads(run("calibrate", data, "--cascade", "--json").output)

    assert found["weights"]["small"]["mean"] > 0
    assert 0 < found["rates"]["small"]["misses"] < 0.5


def test_what_cannot_be_done_is_one_sentence(tmp_path, data):
    missing = run("evaluate", tmp_path / "nothing.jsonl", "--cascade")
    assert missing.exit_code == 2
    assert run("evaluate", data).exit_code == 2
    assert run("calibrate", data).exit_code == 2
