"""A stranger's plugin of log-determinant methods that are each wrong in one way."""
