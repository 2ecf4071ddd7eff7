"""What gives out trials, and to how many workers."""
