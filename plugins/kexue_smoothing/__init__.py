"""The smoothing family: smooth stand-ins for max, argmax, sort, top-k and their kin."""
