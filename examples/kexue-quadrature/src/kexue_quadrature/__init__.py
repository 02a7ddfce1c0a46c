"""Numerical integration on [0, 1] for kexue-bench: a whole family as a small package."""
