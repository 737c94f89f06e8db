"""Will this engine start? Weights and KV cache against the card, for the flags it is launched with."""
