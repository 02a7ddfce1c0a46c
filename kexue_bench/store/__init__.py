"""What is on disk: runs, journals and frames, and the environment in which they were made."""
