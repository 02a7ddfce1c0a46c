"""The f1 family: differentiable stand-ins for F1."""
