"""What will run: requests become cases, and cases become jobs."""
