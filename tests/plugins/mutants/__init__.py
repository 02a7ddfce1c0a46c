"""A stranger's plugin of broken methods."""
