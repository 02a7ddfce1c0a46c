"""What is on disk: runs, journals, frames and the environment that made them."""
