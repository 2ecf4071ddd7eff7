"""What can be done to a network to make it cheaper: one module each, found by the registry."""
