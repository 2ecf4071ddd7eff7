"""Numbers, models and scores in words for people."""
