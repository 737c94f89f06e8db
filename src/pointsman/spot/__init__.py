"""Beside an engine on a rented machine: sees that the machine will be taken away, and tells the router."""
