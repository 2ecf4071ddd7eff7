"""The networks of a study file as a problem."""
