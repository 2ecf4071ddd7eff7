"""When to run: carbon intensity over time, and the scheduler that waits for it."""
