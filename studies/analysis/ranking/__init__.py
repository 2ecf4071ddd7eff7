"""The Pareto front: who is on it, in what order, and how sure that is."""
