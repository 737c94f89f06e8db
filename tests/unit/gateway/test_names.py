"""What `model` may say."""

import msgspec
import pytest

from pointsman.classify.targets import QualityTarget
from pointsman.core.request import Caller
from pointsman.core.settings import RouteSettings, TierSettings
from pointsman.errors import Forbidden, RequestError, UnknownModel
from pointsman.gateway.names import Meaning, Names
from pointsman.testing.factories import a_pool, a_settings, an_endpoint

ANYONE = Caller()
BIG = a_pool("big", endpoints=(an_endpoint("big/0", provider="acme"), an_endpoint("big/1", provider="zeta"), an_endpoint("big/2")))
VECTORS = a_pool("vectors", embeddings=True)
SETTINGS = a_settings(a_pool("small"), BIG)
SETTINGS = msgspec.structs.replace(
    SETTINGS, pools=SETTINGS.pools | {"vectors": VECTORS},
    tiers=SETTINGS.tiers | {"both": TierSettings("both", ("small", "big"))})
NAMES = Names(SETTINGS)


@pytest.mark.parametrize(("name", "meaning"), [
    ("auto", Meaning("auto")),
    ("auto:auto", Meaning("auto")),
    ("small", Meaning("auto", tier="small")),
    ("both", Meaning("auto", tier="both")),
    ("big-model", Meaning("auto", pools=("big",), home="big")),
    ("acme/big-model", Meaning("auto", pools=("big",), home="big", provider="acme")),
    ("zeta/big-model", Meaning("auto", pools=("big",), home="big", provider="zeta")),
    ("vectors-model", Meaning("auto", pools=("vectors",))),
])
def test_a_name_means_one_thing(name, meaning):
    assert NAMES.look_up(name, ANYONE) == meaning


@pytest.mark.parametrize(("wrong", "near"), [("smal", "small"), ("BIG-MODEL", "big-model"), ("auto-", "auto"), ("auto:cheep", "auto:cheap")])
def test_an_unknown_name_gets_the_near_ones(wrong, near):
    with pytest.raises(UnknownModel) as caught:
        NAMES.look_up(wrong, ANYONE)

    assert near in caught.value.near


def test_a_key_bound_to_routes_may_name_nothing_else():
    caller = Caller("app", "", ("auto",))

    assert NAMES.look_up("auto", caller).is_route
    with pytest.raises(Forbidden, match="may use: auto"):
        NAMES.look_up("big-model", caller)
    assert [name for name, _ in NAMES.listed(caller)] == ["auto"]


def test_embeddings_are_never_routed():
    with pytest.raises(RequestError, match="'vectors-model'"):
        NAMES.embedding_pool("auto", ANYONE)
    with pytest.raises(RequestError, match="makes no embeddings"):
        NAMES.embedding_pool("big-model", ANYONE)
    assert NAMES.embedding_pool("vectors-model", ANYONE) is VECTORS


def test_routes_come_first_in_the_list():
    assert next(name for name, _ in NAMES.listed(ANYONE)) == "auto"


# -- wishes


def routes(*names):
    found = {name: RouteSettings(name, ("small", "big"), "big", quality=0.9) for name in names}
    return Names(msgspec.structs.replace(SETTINGS, routes=found))


@pytest.mark.parametrize(("name", "target"), [
    ("auto:cheap", QualityTarget(0.6)), ("auto:balanced", QualityTarget(0.8)), ("auto:best", QualityTarget(0.8, wants_best=True)),
    ("auto:auto:cheap", QualityTarget(0.6)), ("auto@0.7", QualityTarget(0.7, "absolute")), ("auto@1", QualityTarget(1.0, "absolute")),
    ("auto:auto@0.25", QualityTarget(0.25, "absolute")), ("auto:best@0.5", QualityTarget(0.5, "absolute")),
])
def test_a_routes_name_may_carry_a_wish(name, target):
    meaning = NAMES.look_up(name, ANYONE)

    assert (meaning.route, meaning.is_route, meaning.target) == ("auto", True, target)


def test_other_routes_have_wishes_of_their_own_and_auto_is_the_first_where_none_is_called_so():
    names = routes("support", "code")

    assert names.look_up("code:cheap", ANYONE) == Meaning("code", target=QualityTarget(0.8))
    assert names.look_up("auto:code:best", ANYONE).route == "code"
    assert names.look_up("code@0.5", ANYONE).route == "code"
    assert names.look_up("auto:cheap", ANYONE).route == "support"


def test_a_route_of_that_name_goes_before_a_wish():
    assert routes("auto", "cheap").look_up("auto:cheap", ANYONE) == Meaning("cheap")


@pytest.mark.parametrize("name", ["auto@1.01", "auto@-0.1", "auto@nan", "auto@much", "auto@"])
def test_a_threshold_is_a_probability(name):
    with pytest.raises(RequestError, match=r"a probability from 0 to 1, as in auto@0\.7"):
        NAMES.look_up(name, ANYONE)


@pytest.mark.parametrize("name", ["small@0.5", "nobody@0.5", "@0.5", "auto:dear"])
def test_only_routes_have_wishes(name):
    with pytest.raises(UnknownModel):
        NAMES.look_up(name, ANYONE)


def test_wishes_keep_to_what_a_key_may_use_and_are_not_listed():
    assert NAMES.look_up("auto:cheap", Caller("app", "", ("auto",))).route == "auto"
    with pytest.raises(Forbidden):
        routes("auto", "other").look_up("other@0.5", Caller("app", "", ("auto",)))
    assert not [name for name, meaning in NAMES.listed(ANYONE) if meaning.target is not None]


def test_embeddings_have_no_wishes():
    for name in ("auto:cheap", "auto@0.5"):
        with pytest.raises(RequestError, match="embeddings are not routed"):
            NAMES.embedding_pool(name, ANYONE)
