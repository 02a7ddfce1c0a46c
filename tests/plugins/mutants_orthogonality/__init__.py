"""Penalties with the classical mistakes, written as a stranger would: nothing of the family is imported."""
