"""The stages of a trial in a row, and the store of what they leave."""
