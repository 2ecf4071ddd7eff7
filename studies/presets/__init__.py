"""Study files that greenfront init starts from."""
