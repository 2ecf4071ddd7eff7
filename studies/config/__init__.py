"""What a user writes: the study file and its tables."""
