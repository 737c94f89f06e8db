"""The file an operator writes, turned into settings."""
