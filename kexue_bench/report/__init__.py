"""A comparison as something to look at: terminal, files, plots."""
