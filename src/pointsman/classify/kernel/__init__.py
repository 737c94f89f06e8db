"""The arithmetic of the trained static stage in C, optional: see ADR 0018."""
