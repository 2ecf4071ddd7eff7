"""How a search runs."""
