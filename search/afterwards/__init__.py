"""After the search: measuring again, exporting, verifying, tuning."""
