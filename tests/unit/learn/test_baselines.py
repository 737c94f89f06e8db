"""Ten-line routers."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from pointsman.learn.baselines import Length, Neighbours, TaskTable, VectorRidge, WordRidge

QUALITY = np.array([[1.0, 1.0], [0.0, 1.0], [1.0, np.nan], [0.0, 1.0]])


def test_length_sends_longer_prompts_to_the_larger_model():
    said = Length().fit(["a"], QUALITY).predict(["short", "much longer"])

    assert said[1, 1] - said[1, 0] > said[0, 1] - said[0, 0]


def test_a_table_of_tasks_is_pulled_to_the_mean_and_knows_no_new_task():
    table = TaskTable(pull=1.0).fit(["x", "y", "x", "y"], QUALITY)

    assert table.predict(["x"])[0, 0] == pytest.approx(0.5 + 1.0 / 3)
    assert table.predict(["new"])[0] == pytest.approx([0.5, 1.0])


def test_words_tell_who_succeeds():
    said = WordRidge(0.1).fit(["easy sum", "hard proof", "easy sum now", "hard proof now"], QUALITY).predict(["easy", "hard"])

    assert said[0, 0] > said[1, 0]


@pytest.mark.parametrize("router", [VectorRidge(0.1), Neighbours(1)])
def test_vectors_tell_who_succeeds(router):
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1], [0.1, 1.0]], dtype=np.float32)
    said = router.fit(vectors, QUALITY).predict(vectors[:2])

    assert said[0, 0] > 0.8 > 0.3 > said[1, 0]
    assert said.shape == (2, 2)
