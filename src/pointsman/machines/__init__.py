"""Beside a router: starts and stops a tier's rented machines as the router wishes. Opt-in, a process of its own."""
