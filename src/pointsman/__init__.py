"""Pointsman: a self-hosted, OpenAI-compatible inference router."""

__version__ = "0.1.0"
