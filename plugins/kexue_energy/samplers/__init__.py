"""The samplers: who draws from exp(-U), how well, at what cost."""
