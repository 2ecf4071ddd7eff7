"""What stands before and behind a model in its file: from raw input to label."""
