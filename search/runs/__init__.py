"""Runs of a study: how much each does, that it is alive, and what it leaves when it dies."""
