"""The operators, one or a few related ones per module."""
