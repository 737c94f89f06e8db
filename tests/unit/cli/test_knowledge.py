"""What `pointsman check` says of a trained classifier."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from pointsman import artifact
from pointsman.classify.kernel.build import found
from pointsman.cli.main import app
from pointsman.learn.fit import fit
from pointsman.learn.table import OutcomeTable

CONFIG = """\
classifier: {{artifact: "{path}"}}
tiers:
  small:
    model: vendor/Llama-8B
    endpoints: [{{url: "http://10.0.0.1:8001/v1", usd_per_million: {{input: 1, output: 1}}}}]
  middle:
    model: something-new
    endpoints: [{{url: "http://10.0.0.2:8001/v1", usd_per_million: {{input: 2, output: 2}}}}]
  large:
    model: odd-70b
    endpoints: [{{url: "http://10.0.0.3:8001/v1", usd_per_million: {{input: 9, output: 9}}}}]
routes:
  auto: {{pipeline: [rules, embedding]}}
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """An artifact on which the dear model is the worse one."""
    prompts = [f"What is {i} plus {i}?" for i in range(40)]
    quality = np.array([[1.0, float(i % 2)] for i in range(40)])
    draft = fit(OutcomeTable([str(i) for i in range(40)], prompts, ("llama-8b", "odd-70b"), quality), seed=1, sentence=None,
                progress=lambda stage, done: None)
    return artifact.write(draft, tmp_path_factory.mktemp("own") / "artifact").path


def run(tmp_path, text, *options):
    file = tmp_path / "router.yaml"
    file.write_text(text, "utf-8")
    return CliRunner().invoke(app, ["check", str(file), *options], env={"NO_COLOR": "1"})


def test_known_unknown_and_wasteful_tiers_are_told(tmp_path, directory):
    result = run(tmp_path, CONFIG.format(path=directory))

    assert result.exit_code == 0
    for words in ("trained on your labels, 40 rows", "no sentence embedder: the artifact was trained without",
                  f"kernel: {found()}"[:30],
                  "route auto: small = llama-8b, large = odd-70b",
                  "unknown to the classifier, never chosen by its scores: middle",
                  "large costs no less than small and was no better on the labels (0.50 against 1.00)"):
        assert words in result.output, words


def test_scripts_get_the_same_as_data(tmp_path, directory):
    told = json.loads(run(tmp_path, CONFIG.format(path=directory), "--json").stdout)["classifier"]

    assert (told["labels"], told["is_generic"], told["routes"][0]["unknown"]) == (40, False, ["middle"])
    assert json.loads(run(tmp_path, CONFIG.replace("[rules, embedding]", "[rules]").format(path=directory), "--json").stdout)["classifier"] is None


@pytest.mark.parametrize(("change", "message"), [
    (("{path}", "{path}/nope"), "classifier.artifact: artifact"),
    (("}}\ntiers", ", sentence: l6}}\ntiers"), "classifier.sentence: 'l6' cannot serve"),
    (("Llama-8B", "x"), ""),
])
def test_what_cannot_serve_is_a_problem_of_the_file(tmp_path, directory, change, message):
    result = run(tmp_path, CONFIG.replace(*change).format(path=directory))

    assert result.exit_code == (1 if message else 0)
    assert message in result.output


def test_an_artifact_that_knows_no_tier_says_what_it_knows(tmp_path, directory):
    result = run(tmp_path, CONFIG.replace("Llama-8B", "x").replace("odd-70b", "y").format(path=directory))

    assert result.exit_code == 1
    assert "knows none of its tiers; it knows llama-8b, odd-70b" in result.output
