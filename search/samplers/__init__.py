"""Samplers by name."""
