"""Energy statements in the forms that others have published, each written from one record."""
