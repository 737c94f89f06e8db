"""The nouns, as values. Nothing here does I/O, reads a clock or imports a framework."""
