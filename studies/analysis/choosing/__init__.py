"""Which model to take, here or elsewhere."""
