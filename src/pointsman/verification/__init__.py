"""Verifiers that need the world: a model, an operator's service, a process that runs tests; and the rungs' panels of them all."""
