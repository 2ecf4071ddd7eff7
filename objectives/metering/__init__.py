"""Meters of energy: hardware counters and models, one for each component."""
