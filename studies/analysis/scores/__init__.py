"""Scores of what was measured, and how sure they are."""
