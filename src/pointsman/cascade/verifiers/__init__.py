"""Scores of a reply, from 0 to 1."""
