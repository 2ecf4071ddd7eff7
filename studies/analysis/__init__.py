"""What is computed from what is kept: front, membership, progress, what-if."""
