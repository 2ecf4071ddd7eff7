"""Model families: what can be chosen of each, and how it is built."""
