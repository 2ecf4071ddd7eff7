"""What may be chosen: knobs, search spaces, candidates, architectures."""
