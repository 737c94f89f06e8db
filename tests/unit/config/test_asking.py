"""Whom a decision may ask over HTTP, as the file says it."""

import pytest

from pointsman.config.load import load_text, load_text_with_warnings
from pointsman.core.settings import RemoteEmbedderSettings, RemoteSettings
from pointsman.errors import ConfigError

TWO_TIERS = """
tiers:
  small: {model: a, endpoints: [{url: "http://127.0.0.1:9/v1", usd_per_million: {input: 1, output: 1}}]}
  large: {model: b, endpoints: [{url: "http://127.0.0.1:9/v1", usd_per_million: {input: 1, output: 1}}]}
"""
ENVIRON = {"AUTH": "s3cret"}


def loaded(route="{}", classifier="{}"):
    return load_text(f"{TWO_TIERS}classifier: {classifier}\nroutes:\n  auto: {route}\n", environ=ENVIRON)


def test_an_outside_classifier_arrives_with_units_and_secrets():
    made = loaded("{pipeline: [rules, remote, judge], remote: {url: 'http://a:1/c', deadline: 80ms, remember: 0s, names: {small: easy}, "
                  "headers: {Authorization: '${AUTH}', X-Key: '${AUTH}'}}}").routes["auto"].remote

    assert made == RemoteSettings("http://a:1/c", deadline_s=0.08, remember_s=0.0, names={"small": "easy"},
                                  headers=(("Authorization", "Bearer s3cret"), ("X-Key", "s3cret")))


def test_a_remote_embedder_arrives_without_its_trailing_slash():
    made = loaded(classifier="{sentence: remote, remote: {url: 'http://a:1/v1/', model: bge, api_key: '${AUTH}', dims: 256}}").classifier

    assert (made.sentence, made.remote) == ("remote", RemoteEmbedderSettings("http://a:1/v1", "bge", "s3cret", 256))


@pytest.mark.parametrize(("route", "problem"), [
    ("{pipeline: [rules, remote]}", "has no `url`"),
    ("{pipeline: [remote, heuristic], remote: {url: 'http://a/c'}}", "has 'heuristic' behind `remote`"),
    ("{pipeline: [judge, remote], remote: {url: 'http://a/c'}}", "has stages behind `judge`"),
    ("{pipeline: [rules, remote], remote: {url: 'ftp://a/c'}}", "must start with http"),
    ("{pipeline: [rules, remote], remote: {url: 'http://u:p@a/c'}}", "must not hold credentials"),
    ("{pipeline: [rules, remote], remote: {url: 'http://a/c', headers: {Host: '${AUTH}'}}}", "written by the router"),
    ("{pipeline: [rules, remote], remote: {url: 'http://a/c', headers: {X-Key: literal}}}", "must not stand in the file"),
    ("{pipeline: [rules, remote], remote: {url: 'http://a/c', names: {smal: x}}}", "did you mean 'small'"),
    ("{pipeline: [rules, remote], remote: {url: 'http://a/c', classes: [small, huge]}}", "'huge' is not on this route's ladder"),
    ("{pipeline: [rules, remote], remote: {url: 'http://a/c', classes: [small, small]}}", "names a tier twice"),
])
def test_one_that_cannot_be_asked_is_told_with_its_place(route, problem):
    with pytest.raises(ConfigError, match=problem):
        loaded(route)


def test_an_embedder_elsewhere_needs_an_address_and_a_name():
    with pytest.raises(ConfigError, match=r"classifier\.remote: has no `model`"):
        loaded(classifier="{sentence: remote, remote: {url: 'http://a/v1'}}")


def test_settings_that_nobody_reads_are_warned_of():
    loaded = load_text_with_warnings(
        f"{TWO_TIERS}classifier: {{remote: {{dims: 3}}}}\nroutes:\n  auto: {{remote: {{url: 'http://a/c'}}}}\n", environ=ENVIRON)

    assert sum("is read by nobody" in str(warning) for warning in loaded.warnings) == 2
