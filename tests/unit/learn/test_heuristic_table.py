"""Fitting the heuristic's table."""

import msgspec
import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("pyarrow")

from pointsman.classify.features import NAMES  # noqa: E402
from pointsman.classify.heuristic import Table  # noqa: E402
from pointsman.learn.heuristic_table import FLOOR, PRIOR, SHARES, fit, main, table  # noqa: E402
from pointsman.learn.outcomes import Sample  # noqa: E402

PROOF, DAILY = NAMES.index("proof"), NAMES.index("daily")


def a_sample(need, feature, rows=400, name="s"):
    features = np.zeros((rows, len(NAMES)))
    features[: rows // 2, feature] = 1.0
    return Sample(name, features, np.where(features[:, feature] > 0, need, 0.1), np.ones(rows))


def test_a_feature_that_needs_large_models_gains_weight():
    strong, _ = fit([a_sample(0.9, PROOF)], steps=500)
    weak, _ = fit([a_sample(0.2, PROOF)], steps=500)

    assert strong[PROOF] > weak[PROOF] > 0


def test_signs_are_held_against_the_data():
    weights, _ = fit([a_sample(0.9, DAILY)], steps=500)

    assert weights[DAILY] == pytest.approx(FLOOR * PRIOR["daily"])


def test_features_without_data_keep_their_prior():
    weights, _ = fit([a_sample(0.9, PROOF)], steps=500)

    assert weights[NAMES.index("tools")] == pytest.approx(PRIOR["tools"])


def test_offsets_are_the_quantiles_of_the_mix():
    rng = np.random.default_rng(0)
    features = np.zeros((1000, len(NAMES)))
    features[:, NAMES.index("length")] = rng.random(1000)
    made = table([a_sample(0.9, PROOF)], Sample("mix", features, np.zeros(1000), np.ones(1000)))

    difficulty = features @ np.array([made.weights[n] for n in NAMES]) + made.bias
    clears = [float(np.mean(difficulty <= offset - np.log(4))) for offset in made.offsets]
    assert clears == pytest.approx(SHARES, abs=0.01)


def test_the_command_writes_a_table_from_the_train_split_only(tmp_path):
    pytest.importorskip("pyarrow")
    write_data(tmp_path)
    out = tmp_path / "table.json"

    assert main([str(tmp_path), "--out", str(out)]) == 0

    made = msgspec.json.decode(out.read_bytes(), type=Table)
    assert made.provenance["rows"]["mmlu_pro"] == 1.0


def write_data(root):
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pointsman.learn.outcomes import FAMILIES, SMALL

    (root / "outcomes").mkdir()
    (root / "traffic").mkdir()
    for source, small in SMALL.items():
        models = {*small, FAMILIES[source][2]}
        base = [{"prompt": "train", "split": "train", "overlaps_public_test": False},
                {"prompt": "dev", "split": "dev", "overlaps_public_test": False},
                {"prompt": "public", "split": "train", "overlaps_public_test": True}]
        pq.write_table(pa.Table.from_pylist([row | dict.fromkeys(models, 0.5) for row in base]),
                       root / "outcomes" / f"{source}.parquet")
    traffic = [("banking77", "where is my card", "x", "train"), ("flask", "Why is the sky blue?", "major level knowledge", "Koala"),
               ("arena-hard-v2.0", "Implement a compiler in Rust", "hard_prompt", "nan")]
    pq.write_table(pa.Table.from_pylist([dict(zip(("source", "prompt", "label", "extra"), row, strict=True)) for row in traffic]),
                   root / "traffic" / "prompts.parquet")
