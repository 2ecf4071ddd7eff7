"""What a machine offers, brings and has read."""
