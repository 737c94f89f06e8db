"""A small valid file, and what is said about a changed one."""

import pytest

from pointsman.config.load import load_text, load_text_with_warnings
from pointsman.errors import ConfigError

VALID = """\
tiers:
  small:
    model: qwen-7b
    endpoints:
      - {url: "http://10.0.0.1:8001/v1", gpu: {type: RTX 4090, usd_per_hour: 0.51, tokens_per_s: 1000}}
  large: {pools: [llama-70b]}
pools:
  llama-70b:
    model: llama-3.3-70b
    endpoints:
      - {url: "https://api.example.com/v1", provider: example, usd_per_million: {input: 0.88, output: 0.88}}
routes:
  auto: {ladder: [small, large], default_tier: large}
"""
ENVIRON = {"A_KEY": "key-a", "B_KEY": "key-b"}


@pytest.fixture
def valid():
    return VALID


@pytest.fixture
def settings():
    """Settings of a text."""
    return lambda text: load_text(text, "router.yaml", ENVIRON)


@pytest.fixture
def problems():
    """Problems of a text (none for a good one)."""

    def said(text):
        try:
            load_text(text, "router.yaml", ENVIRON)
        except ConfigError as exc:
            return list(exc.problems)
        return []

    return said


@pytest.fixture
def warnings():
    return lambda text: list(load_text_with_warnings(text, "router.yaml", ENVIRON).warnings)
