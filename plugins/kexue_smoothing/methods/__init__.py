"""One operator, or a few close kin, a file."""
