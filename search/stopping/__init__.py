"""What ends a trial or a search early."""
