"""A stranger's plugin of smooth operators that are each wrong in one way."""
