"""Where joules come from."""
