"""How it runs: the driver, the worker, and the engines between them."""
