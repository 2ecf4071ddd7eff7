"""The processes that carry out trials."""
