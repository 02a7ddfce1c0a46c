"""The problems of the family."""
