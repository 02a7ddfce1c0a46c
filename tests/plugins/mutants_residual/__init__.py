"""A stranger's plugin of estimators for residual operators that are each wrong in one way."""
