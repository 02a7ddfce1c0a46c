"""The methods of the family, one a file."""
