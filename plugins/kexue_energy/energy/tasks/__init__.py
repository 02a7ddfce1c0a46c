"""The tasks of the family, one a file."""
