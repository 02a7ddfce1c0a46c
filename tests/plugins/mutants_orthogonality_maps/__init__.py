"""A stranger's plugin of maps and optimizers that are each wrong in one way."""
