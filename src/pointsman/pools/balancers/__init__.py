"""Ways to pick one endpoint among frozen views."""
