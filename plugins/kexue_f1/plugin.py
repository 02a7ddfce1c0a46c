"""What the f1 family registers."""
