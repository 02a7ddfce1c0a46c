"""A third party's plugin of smooth operators that are each wrong in one way."""
