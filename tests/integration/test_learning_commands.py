"""`pointsman train`, `score`, `evaluate` and `calibrate` as people run them: another process, real files."""

import json
import os
import random
import subprocess
import sys

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")
pytest.importorskip("scipy")

import pyarrow.parquet as pq  # noqa: E402

EASY = ("Where is my order {}?", "What are your opening hours on {}?", "Thanks, {} was lovely", "Cancel the booking of {} please")
HARD = ("Prove that the sum over {} converges and derive its limit", "Write a lock-free queue for {} and explain the memory order",
        "Derive the optimal portfolio for {} with constraints")
THINGS = ("apples", "trains", "graphs", "Monday", "primes", "invoices", "tensors")


def rows(count, seed=1):
    """Prompts of two kinds; the small model answers one of them, the large one nearly all."""
    draw = random.Random(seed)
    for number in range(count):
        is_hard = draw.random() < 0.5
        prompt = draw.choice(HARD if is_hard else EASY).format(f"{draw.choice(THINGS)} {number}")
        yield number, prompt, float(draw.random() < (0.1 if is_hard else 0.9)), float(draw.random() < 0.95)


def matrix(path, count=60, seed=1, **more):
    number, prompt, small, large = zip(*rows(count, seed), strict=True)
    pq.write_table(pa.table({"query_id": pa.array(number, pa.int64()), "prompt": prompt, "small": small, "large": large} | more), path)
    return path


def run(*arguments, **environment):
    return subprocess.run([sys.executable, "-m", "pointsman", *map(str, arguments)], capture_output=True, text=True, timeout=240, check=False,
                          env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"} | environment)


def done(*arguments):
    found = run(*arguments)
    assert found.returncode == 0, found.stderr
    assert found.stderr == ""
    return found.stdout


def refused(*arguments, **environment):
    """Exit 2 and one sentence, nothing else."""
    found = run(*arguments, **environment)
    assert found.returncode == 2, (found.returncode, found.stderr)
    assert found.stdout == ""
    assert len(found.stderr.splitlines()) == 1
    return found.stderr


def scored(tmp_path, artifact, table):
    pq.write_table(table, tmp_path / "q.parquet")
    done("score", tmp_path / "q.parquet", "--artifact", artifact, "--out", tmp_path / "s.parquet")
    return pq.read_table(tmp_path / "s.parquet")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A place with an artifact of 60 rows, trained with the static embedder."""
    place = tmp_path_factory.mktemp("learning")
    done("train", matrix(place / "m.parquet"), "--out", place / "artifact", "--seed", "3", "--embedder", "static")
    return place


@pytest.fixture(scope="module")
def artifact(home):
    return home / "artifact"


def test_training_ends_with_a_picture_and_a_next_step(tmp_path):
    said = done("train", matrix(tmp_path / "m.parquet"), "--out", tmp_path / "a", "--embedder", "static")

    for word in ("random mixing", "prompt length", "best single", "oracle", "AUROC", "held out", "pointsman evaluate"):
        assert word.lower() in said.lower()


def test_scores_stand_in_the_order_of_models_and_rows_and_ids_keep_their_type(tmp_path, artifact):
    queries = pq.read_table(matrix(tmp_path / "n.parquet", 40, seed=2))
    found = scored(tmp_path, artifact, queries)

    assert found.column_names == ["query_id", "small", "large"]
    assert found["query_id"].equals(queries["query_id"])
    values = np.column_stack([found["small"].to_numpy(), found["large"].to_numpy()])
    assert np.isfinite(values).all()
    assert values.min() >= 0
    assert values.max() <= 1


def test_scores_have_learned_something(tmp_path, artifact):
    number, prompt, small, _ = zip(*rows(80, seed=5), strict=True)
    found = scored(tmp_path, artifact, pa.table({"query_id": number, "prompt": prompt}))

    score, good = found["small"].to_numpy(), np.array(small) > 0.5
    assert score[good].mean() > score[~good].mean() + 0.2


def test_any_prompt_is_scored(tmp_path, artifact):
    prompts = ["", None, " \n\t", "word " * 200_000, "где мой заказ?", "我的订单在哪里?", "\u0000\u0001\ufffd", "😀" * 50, "<system-reminder>x</system-reminder>", "a"]
    queries = pa.table({"query_id": pa.array([f"q{n}" for n in range(len(prompts))], pa.large_string()),
                        "prompt": pa.array(prompts, pa.string()).dictionary_encode(), "more": [1.5] * len(prompts)})
    found = scored(tmp_path, artifact, queries)

    assert found["query_id"].type == pa.large_string()
    assert found.num_rows == len(prompts)
    for model in ("small", "large"):
        assert np.isfinite(found[model].to_numpy()).all()
        assert ((found[model].to_numpy() >= 0) & (found[model].to_numpy() <= 1)).all()


def test_a_prompt_has_one_score_whatever_stands_beside_it(tmp_path, artifact):
    number, prompt, _, _ = zip(*rows(30, seed=7), strict=True)
    together = scored(tmp_path, artifact, pa.table({"query_id": number, "prompt": prompt}))
    reverse = scored(tmp_path, artifact, pa.table({"query_id": number[::-1], "prompt": prompt[::-1]}))
    alone = scored(tmp_path, artifact, pa.table({"query_id": number[:1], "prompt": prompt[:1]}))

    assert np.allclose(together["small"].to_numpy(), reverse["small"].to_numpy()[::-1], atol=1e-6)
    assert np.allclose(together["small"].to_numpy()[:1], alone["small"].to_numpy(), atol=1e-6)


def test_no_rows_give_no_rows(tmp_path, artifact):
    found = scored(tmp_path, artifact, pa.table({"query_id": pa.array([], pa.int32()), "prompt": pa.array([], pa.string())}))

    assert found.num_rows == 0
    assert found.schema.field("query_id").type == pa.int32()
    assert found.column_names == ["query_id", "small", "large"]


def test_the_same_seed_gives_the_same_bytes(tmp_path, home):
    done("train", home / "m.parquet", "--out", tmp_path / "again", "--seed", "3", "--embedder", "static")
    for name in ("artifact", "again"):
        source = home / "artifact" if name == "artifact" else tmp_path / "again"
        done("score", home / "m.parquet", "--artifact", source, "--out", tmp_path / f"{name}.parquet")

    assert contents(home / "artifact") == contents(tmp_path / "again")
    assert (tmp_path / "artifact.parquet").read_bytes() == (tmp_path / "again.parquet").read_bytes()


def contents(place):
    return {path.name: path.read_bytes() for path in place.iterdir()}


def test_split_named_models_and_columns_that_are_none(tmp_path):
    count = 80
    path = matrix(tmp_path / "m.parquet", count, split=["train"] * 60 + ["dev"] * 15 + ["test"] * 5, domain=["x"] * count, length=list(range(count)),
                  gold_sample=[True] * count, contaminated=[False] * count, prompt_full=["y"] * count, latency=[3.7] * count, fold=[1.0] * count,
                  spare=pa.array([None] * count, pa.float64()), narrow=pa.array(np.full(count, 0.5), pa.float32()))

    assert "latency" in refused("train", path, "--out", tmp_path / "a")
    said = json.loads(done("train", path, "--out", tmp_path / "a", "--models", "narrow,large,spare", "--json", "--embedder", "static"))

    assert said["models"] == ["narrow", "large", "spare"]
    assert said["rows"] == 75
    assert 0 < said["differences"] <= 1
    found = scored(tmp_path, tmp_path / "a", pa.table({"query_id": [1], "prompt": ["Where is my order?"]}))
    assert found.column_names == ["query_id", "narrow", "large", "spare"]
    assert found["narrow"][0].as_py() == pytest.approx(0.5, abs=0.05)
    assert 0 <= found["spare"][0].as_py() <= 1


def test_one_model_alone_is_learned(tmp_path):
    done("train", matrix(tmp_path / "m.parquet", 40), "--out", tmp_path / "a", "--models", "small", "--embedder", "static")

    assert scored(tmp_path, tmp_path / "a", pa.table({"query_id": [1], "prompt": ["Where is my order?"]})).column_names == ["query_id", "small"]


@pytest.mark.parametrize(("change", "said"), [
    ({"small": [0.5] * 59 + [1.5]}, r"column 'small', row 59"), ({"prompt": [1.0] * 60}, "not text"), ({"split": ["dev"] * 60}, "to learn from"),
])
def test_data_that_cannot_be_is_said_in_one_sentence(tmp_path, change, said):
    path = tmp_path / "m.parquet"
    table = dict(zip(("query_id", "prompt", "small", "large"), zip(*rows(60), strict=True), strict=True)) | change
    pq.write_table(pa.table(table), path)

    assert said in refused("train", path, "--out", tmp_path / "a")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("count", [0, 3])
def test_too_few_rows_are_said_in_one_sentence(tmp_path, count):
    path = tmp_path / "m.parquet"
    pq.write_table(pq.read_table(matrix(tmp_path / "more.parquet")).slice(0, count), path)

    assert f"{count} rows to learn from" in refused("train", path, "--out", tmp_path / "a")


def test_files_that_are_not_there_are_said_in_one_sentence(tmp_path, artifact):
    assert "No such file" in refused("train", tmp_path / "no.parquet", "--out", tmp_path / "a")
    assert "no such directory" in refused("score", matrix(tmp_path / "m.parquet"), "--artifact", tmp_path / "no", "--out", tmp_path / "s.parquet")
    assert "cannot be written" in refused("score", tmp_path / "m.parquet", "--artifact", artifact, "--out", tmp_path / "no" / "s.parquet")
    pq.write_table(pa.table({"prompt": ["a"]}), tmp_path / "bare.parquet")
    assert "no column 'query_id'" in refused("score", tmp_path / "bare.parquet", "--artifact", artifact, "--out", tmp_path / "s.parquet")


def test_an_artifact_of_another_version_is_refused_with_both(tmp_path, home):
    place = tmp_path / "a"
    place.mkdir()
    for name, data in contents(home / "artifact").items():
        (place / name).write_bytes(data)
    manifest = json.loads((place / "manifest.json").read_bytes())
    manifest["features"]["static"] = "0" * 64
    (place / "manifest.json").write_text(json.dumps(manifest))

    said = refused("score", home / "m.parquet", "--artifact", place, "--out", tmp_path / "s.parquet")

    assert "0000" in said
    assert json.loads((home / "artifact" / "manifest.json").read_bytes())["features"]["static"] in said


def test_without_the_extra_the_command_that_installs_it_is_said(tmp_path):
    (tmp_path / "pyarrow.py").write_text("raise ModuleNotFoundError(\"No module named 'pyarrow'\", name='pyarrow')\n")

    said = refused("train", tmp_path / "m.parquet", "--out", tmp_path / "a", PYTHONPATH=str(tmp_path))

    assert "pip install 'pointsman[learn]'" in said


def test_tiers_by_hand_are_enough(tmp_path):
    lines = [json.dumps({"text": prompt, "tier": "large" if prompt.startswith(("Prove", "Write", "Derive")) else "small"}) for _, prompt, _, _ in rows(60)]
    (tmp_path / "labels.jsonl").write_text("\n".join(lines))
    said = json.loads(done("train", tmp_path / "labels.jsonl", "--out", tmp_path / "a", "--json", "--embedder", "static"))

    assert (said["shape"], said["models"]) == ("tiers", ["small", "large"])
    found = scored(tmp_path, tmp_path / "a", pa.table({"query_id": [1, 2], "prompt": ["Where is my order pears 7?", "Prove that the sum over pears 7 converges and derive its limit"]}))
    easy, hard = found["small"].to_pylist()
    assert easy > 0.6 > 0.4 > hard


def test_evaluate_puts_the_scores_beside_what_anybody_could_do(tmp_path, artifact):
    path = matrix(tmp_path / "new.parquet", 200, seed=9)
    said = json.loads(done("evaluate", path, "--artifact", artifact, "--prices", "small=1,large=10", "--json", "--plot", tmp_path / "curve.svg"))

    found = said["evaluation"]
    routers = {router["name"]: router for router in found["routers"]}
    assert {"random mixing", "always cheapest", "always reference", "prompt length", "ours, two models", "oracle"} <= routers.keys()
    assert routers["random mixing"]["apgr"]["value"] == pytest.approx(0.5)
    ours = routers["ours, two models"]["apgr"]
    assert 0.6 < ours["value"] <= routers["oracle"]["apgr"]["value"]
    assert ours["low"] < ours["value"] < ours["high"]
    assert (found["cheapest"], found["reference"]) == ("small", "large")
    assert (tmp_path / "curve.svg").read_text().startswith("<svg")
    assert "prompt length" in done("evaluate", path, "--artifact", artifact)


def test_baselines_learn_from_what_the_artifact_learned_from(tmp_path, home, artifact):
    path = matrix(tmp_path / "n.parquet", 80, seed=9, task=["a", "b"] * 40)
    said = json.loads(done("evaluate", path, "--artifact", artifact, "--trained-on", home / "m.parquet", "--json"))
    found = {gap["router"]: gap["apgr"] for gap in said["evaluation"]["margins"]}

    assert said["baselines"]["rows"] == 60
    assert "60 rows (m.parquet)" in said["baselines"]["learned_from"]
    assert set(found) == {"random mixing", "prompt length", "task table", "words, ridge", "k nearest neighbours"}
    assert found["random mixing"]["low"] > 0

    shown = " ".join(done("evaluate", path, "--artifact", artifact).split())
    assert "each row being predicted from the other four fifths" in shown
    assert "Paired" in shown
    assert "nowhere: it cannot be read" in refused("evaluate", path, "--artifact", artifact, "--trained-on", tmp_path / "nowhere")


def test_calibrate_prints_the_setting_and_writes_a_new_version(tmp_path, artifact):
    path = matrix(tmp_path / "new.parquet", 300, seed=11)
    said = done("calibrate", path, "--artifact", artifact, "--quality", "0.9", "--prices", "small=1,large=10", "--out", tmp_path / "b")

    assert "quality: 0." in said
    assert json.loads((tmp_path / "b" / "manifest.json").read_bytes())["recalibration"]["rows"] == 300
    one = scored(tmp_path, artifact, pq.read_table(path))["small"].to_numpy()
    other = scored(tmp_path, tmp_path / "b", pq.read_table(path))["small"].to_numpy()
    truth = pq.read_table(path)["small"].to_numpy()
    assert abs(other.mean() - truth.mean()) <= abs(one.mean() - truth.mean()) + 1e-9
    assert np.corrcoef(np.argsort(np.argsort(one)), np.argsort(np.argsort(other)))[0, 1] > 0.95


def test_a_budget_bounds_what_is_spent(tmp_path, artifact):
    found = json.loads(done("calibrate", matrix(tmp_path / "new.parquet", 200, seed=13), "--artifact", artifact, "--budget", "6",
                            "--prices", "small=1,large=10", "--json"))

    assert found["setting"]["cost"]["value"] <= 6
    assert found["written"] is None


def test_one_goal_at_a_time(tmp_path, artifact):
    assert "one goal" in refused("calibrate", matrix(tmp_path / "m.parquet"), "--artifact", artifact, "--quality", "0.9", "--share", "0.5")


def test_a_budget_without_prices_means_nothing(tmp_path, artifact):
    assert "add --prices" in refused("calibrate", matrix(tmp_path / "m.parquet"), "--artifact", artifact, "--budget", "0.002")
    said = done("calibrate", matrix(tmp_path / "m.parquet"), "--artifact", artifact, "--share", "0.5")
    assert "a request" not in said
    assert "of always large" in said


def test_prices_that_cannot_be_are_refused_and_nothing_is_replaced(tmp_path):
    assert "no price for 'small'" in refused("train", matrix(tmp_path / "m.parquet"), "--out", tmp_path / "a", "--embedder", "static", "--prices", "tiny=1")
    assert not (tmp_path / "a").exists()


def test_a_picture_that_could_not_be_saved_is_refused_before_the_work(tmp_path, artifact):
    assert "SVG" in refused("evaluate", tmp_path / "not there", "--artifact", artifact, "--plot", tmp_path / "curve.png")
    assert "no folder" in refused("evaluate", tmp_path / "not there", "--artifact", artifact, "--plot", tmp_path / "nowhere" / "curve.svg")


def test_an_artifact_without_its_parts_is_refused(tmp_path, home):
    place = tmp_path / "a"
    place.mkdir()
    for name, data in contents(home / "artifact").items():
        (place / name).write_bytes(data)
    manifest = json.loads((place / "manifest.json").read_bytes())
    del manifest["arrays"]["static.bias"]
    (place / "manifest.json").write_text(json.dumps(manifest))

    assert "static.bias" in refused("score", home / "m.parquet", "--artifact", place, "--out", tmp_path / "s.parquet")
