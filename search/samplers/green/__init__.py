"""The racing sampler: trains what promises most hypervolume a kWh, one rung at a time."""
