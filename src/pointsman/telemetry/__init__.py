"""Readings of the record: metrics and logs."""
