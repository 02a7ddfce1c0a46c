"""Training criteria of energy models."""
