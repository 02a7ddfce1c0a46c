"""The methods of the family, one idea per module."""
