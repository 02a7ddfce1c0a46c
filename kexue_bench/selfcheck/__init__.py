"""A family for `doctor`, in the shape of any plugin: what is known, so that what is left is the harness."""
