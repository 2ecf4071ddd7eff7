"""Carbon intensity of electricity, and emissions of work."""
