"""Context lengths that nobody declared."""

from pointsman.core.fleet import Capabilities
from pointsman.testing.factories import a_pool, a_settings, an_endpoint
from pointsman.upstream.contexts import Contexts

ONE, TWO = (an_endpoint(f"p/{i}", f"http://10.0.0.{i}/v1", model="m") for i in (0, 1))


def test_the_smallest_context_of_the_endpoints_counts():
    settings, contexts = a_settings(a_pool("p", endpoints=(ONE, TWO))), Contexts()

    assert contexts.learn(ONE, 8192)
    assert contexts.learn(TWO, 4096)
    assert contexts.filled(settings).pools["p"].capabilities.context == 4096


def test_the_same_again_is_no_news():
    contexts = Contexts()
    contexts.learn(ONE, 8192)

    assert not contexts.learn(ONE, 8192)
    assert contexts.learn(ONE, 4096)


def test_what_is_declared_stays():
    settings, contexts = a_settings(a_pool("p", endpoints=(ONE,), capabilities=Capabilities(context=100))), Contexts()
    contexts.learn(ONE, 8192)

    assert contexts.filled(settings) is settings


def test_silence_stays_unknown():
    settings = a_settings(a_pool("p", endpoints=(ONE,)))

    assert Contexts().filled(settings) is settings
