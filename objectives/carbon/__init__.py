"""From energy to CO₂."""
