"""The methods of the family, one idea a module."""
