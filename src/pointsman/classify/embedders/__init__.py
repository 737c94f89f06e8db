"""Text becomes numbers: one protocol, a table of our own, and sentence models as an extra."""
