"""What leaves the house: a model in a folder of its own, with its record, card and statements."""
