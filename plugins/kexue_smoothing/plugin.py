"""What the smoothing family registers."""
