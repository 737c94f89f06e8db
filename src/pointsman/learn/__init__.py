"""Offline: from records and outcomes to an artifact. Serving never imports it."""
