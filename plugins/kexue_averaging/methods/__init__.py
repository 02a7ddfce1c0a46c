"""The averages, one module for each idea."""
