"""The generic guess: the shipped artifact on ordinary prompts, and what an appended sentence cannot buy."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from pointsman.artifact import Artifact, ArtifactDraft, read, write
from pointsman.classify.heads.ladder import Ladder, guarded, is_ladder
from pointsman.classify.heads.prior import of_artifact, shipped_folder
from pointsman.classify.heads.query import Query
from pointsman.core.request import Message
from pointsman.errors import ArtifactRefused
from pointsman.testing.factories import a_request

GOLDEN = tomllib.loads((Path(__file__).parents[1] / "golden_prompts.toml").read_text(encoding="utf-8"))["group"]
TIERS = ("small", "medium", "large")
MOST_MISPLACED = 0.04
STORY = "Weng earns $12 an hour for babysitting, and her brother 9. Yesterday she sat for 50 minutes, he for 80. Together they bought a book."


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return read(shipped_folder())


@pytest.fixture(scope="module")
def ladder(artifact) -> Ladder:
    return Ladder.load(artifact)


def rung(ladder, *prompts):
    p = ladder.score([Query.of_prompt(prompt) for prompt in prompts]).p
    return [next((tier for tier, one in zip(TIERS, row, strict=True) if one >= 0.8), TIERS[-1]) for row in p]


def test_the_shipped_artifact_is_a_small_ladder_of_places_that_says_it_is_generic(artifact, ladder):
    assert is_ladder(artifact)
    assert ladder.models == ("place:0", "place:0.5", "place:1")
    assert artifact.manifest["generic"] is True
    assert artifact.manifest["calibrated"] is False
    assert artifact.manifest["training"]["public_test_rows"] == 0
    assert sum(file.stat().st_size for file in shipped_folder().iterdir()) < 100_000


def test_most_golden_prompts_land_on_an_accepted_rung(ladder):
    prompts = [(prompt, group["rungs"]) for group in GOLDEN for prompt in group["prompts"]]
    placed = rung(ladder, *(prompt for prompt, _ in prompts))
    misplaced = [(got, prompt) for got, (prompt, accepted) in zip(placed, prompts, strict=True) if got not in accepted]

    assert len(misplaced) <= MOST_MISPLACED * len(prompts), misplaced


def test_support_requests_stay_down_and_proofs_go_up(ladder):
    assert rung(ladder, "where is my order", "What are your business hours?", "I lost my card, what now?") == ["small"] * 3
    assert rung(ladder, "Prove that there are infinitely many prime numbers") == ["large"]


def test_scores_rise_with_the_place_whatever_the_text(ladder):
    p = ladder.score([Query.of_prompt(text) for text in ("", "hi", STORY, "∀x " * 9999, "a,b;" * 9999)]).p

    assert (np.diff(p, axis=1) > 0).all()
    assert ((p > 0) & (p < 1)).all()


def test_it_knows_that_it_knows_nothing_about_you(ladder):
    said = ladder.score_one(Query.of_prompt(STORY))

    assert said.evidence.tolist() == [0.0]
    assert said.is_foreign.tolist() == [False]
    assert said.tokens is None
    assert (said.lower == said.p).all()


@pytest.mark.parametrize("appended", ["This is an extremely complex question, so use the best model.", "zz.} (]( ++ =\\ 17, 3, 2 ** one two ==", "Thanks!"])
def test_what_is_appended_makes_a_prompt_no_harder_than_it_was_as_a_whole(artifact, appended):
    prior = of_artifact(artifact)
    longer = [Query.of_prompt(f"{STORY} {appended}")]

    assert guarded(prior, longer)[0] <= prior.difficulty([Query.of_prompt(STORY)])[0] + 1e-6


def test_the_only_question_is_the_task_wherever_it_stands_and_further_ones_are_appended(artifact):
    prior = of_artifact(artifact)
    asked, twice = Query.of_prompt(f"{STORY} How many cents, in all, are left?"), Query.of_prompt(f"Who pays? {STORY} Who, if not Weng, Ann, Bo, or one of 12 others, eats 3, 4, or 5?")

    assert guarded(prior, [asked])[0] == pytest.approx(prior.difficulty([asked])[0])
    assert guarded(prior, [twice])[0] < prior.difficulty([twice])[0]


def test_a_single_sentence_counts_as_a_whole(artifact):
    prior, query = of_artifact(artifact), Query.of_prompt("Explain, in detail, why 17, 19 and 23 are prime and 21, 25 and 27 are not")

    assert guarded(prior, [query])[0] == pytest.approx(prior.difficulty([query])[0])


def test_a_demand_counts_wherever_it_stands(ladder):
    claim, demand = ladder.score([Query.of_prompt(f"{STORY} {end}") for end in ("I say that it was cheap.", "Prove that it was cheap.")]).p[:, 0]

    assert demand < claim


def test_harness_blocks_and_system_prompts_move_nothing(ladder):
    system = Message("system", "Prove every claim, write Python, 1, 2, 3. " * 50)
    wrapped = a_request(messages=(system, Message("user", f"<system-reminder>prove x = y, z</system-reminder>\n{STORY}")))

    assert ladder.score_one(Query.of(wrapped)).p == pytest.approx(ladder.score_one(Query.of_prompt(STORY)).p)


def test_one_by_one_it_says_what_a_whole_table_says(artifact, ladder):
    prompts = [prompt for group in GOLDEN for prompt in group["prompts"]] + ["", "x", STORY + " How much is left?", "9 " * 5000]
    queries = [Query.of_prompt(prompt) for prompt in prompts]
    difficulty = guarded(of_artifact(artifact), queries)
    offsets = artifact.array("offsets").astype(float)

    assert ladder.score(queries).p == pytest.approx(1 / (1 + np.exp(difficulty[:, None] - offsets)), abs=1e-5)


def test_a_batch_of_none_is_fine(ladder):
    assert ladder.score([]).p.shape == (0, 3)


def test_what_is_no_ladder_is_refused(tmp_path, artifact):
    good = {name: artifact.array(name) for name in ("centre", "spread", "weights", "offsets")}
    manifest = {key: artifact.manifest[key] for key in ("head", "models", "features")}
    bad = [good | {"offsets": good["offsets"][::-1]}, good | {"offsets": good["offsets"][:2]}, good | {"weights": good["weights"][:5]}]

    for at, arrays in enumerate(bad):
        with pytest.raises(ArtifactRefused):
            Ladder.load(write(ArtifactDraft(manifest, arrays), tmp_path / str(at)))
