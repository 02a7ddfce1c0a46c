"""What the orthogonality family registers."""
