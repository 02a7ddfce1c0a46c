"""The orthogonality family: weights that stay orthogonal."""
