"""What `model` may say."""

import msgspec
import pytest

from pointsman.core.request import Caller
from pointsman.core.settings import TierSettings
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


@pytest.mark.parametrize(("wrong", "near"), [("smal", "small"), ("BIG-MODEL", "big-model"), ("auto-", "auto")])
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
