"""Tables as people have them: read as text, understood column by column, made into numbers."""
