"""Whether it was worth it: a search, a network, a year of work."""
