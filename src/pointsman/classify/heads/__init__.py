"""Scoring a query with a trained artifact: arrays in, expected quality out."""
