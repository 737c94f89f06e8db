"""Which column speaks for which tier."""

import pytest

from pointsman.classify.columns import columns_of, is_of_places
from pointsman.core.settings import ClassifierSettings, RouteSettings, TierSettings
from pointsman.testing.factories import a_pool, a_settings

PLACES = ("place:0", "place:0.5", "place:1")


def columns(models, ladder=("small", "large"), given=None, pools=None):
    pools = pools or tuple(a_pool(name) for name in ladder)
    tiers = {name: TierSettings(name, (name,)) for name in ladder}
    settings = a_settings(*pools, route=RouteSettings("auto", ladder, ladder[-1]), tiers=tiers,
                          classifier=ClassifierSettings(models=given or {}))
    return columns_of(settings, ladder, models)


def test_the_tiers_name_comes_first_then_the_models():
    assert columns(("large", "small", "small-model")) == {"small": ((1, 1.0),), "large": ((0, 1.0),)}
    assert columns(("large-model", "other", "small-model")) == {"small": ((2, 1.0),), "large": ((0, 1.0),)}


def test_what_the_configuration_says_goes_before_all_names():
    assert columns(("small", "llama", "large"), given={"small": "llama"})["small"] == ((1, 1.0),)


@pytest.mark.parametrize("known", ["meta/Small-Model", "SMALL-MODEL", "a/b/small-model"])
def test_case_and_a_provider_in_front_make_no_difference(known):
    assert columns((known,)) == {"small": ((0, 1.0),)}


def test_a_tier_that_is_found_nowhere_has_no_column():
    assert columns(("large",)) == {"large": ((0, 1.0),)}
    assert columns(("x",)) == {}


@pytest.mark.parametrize(("rungs", "expected"), [
    (1, [((2, 1.0),)]),
    (2, [((0, 1.0),), ((2, 1.0),)]),
    (3, [((0, 1.0),), ((1, 1.0),), ((2, 1.0),)]),
    (5, [((0, 1.0),), ((0, 0.5), (1, 0.5)), ((1, 1.0),), ((1, 0.5), (2, 0.5)), ((2, 1.0),)]),
])
def test_places_are_interpolated_along_the_ladder(rungs, expected):
    ladder = tuple(f"t{i}" for i in range(rungs))

    assert list(columns(PLACES, ladder).values()) == expected


def test_only_an_artifact_that_knows_nothing_else_is_one_of_places():
    assert is_of_places(PLACES)
    assert not is_of_places(("place:0", "llama"))
    assert not is_of_places(())
