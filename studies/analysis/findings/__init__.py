"""What a search has shown: of families, techniques, knobs and classes."""
