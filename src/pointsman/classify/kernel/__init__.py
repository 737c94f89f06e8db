"""What reading a text comes to (features, the heuristic, the shipped guess, a trained static stage) in C, optional: see ADR 0018."""
