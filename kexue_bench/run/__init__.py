"""Running a plan: the driver, the worker, and the engines between them."""
