"""What a search knows and foresees before its first trial."""
