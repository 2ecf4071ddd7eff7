"""How a search went: its progress, times, electricity, and what followed what."""
