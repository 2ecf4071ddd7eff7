"""What a search itself costs, was expected to, and has saved."""
