"""Timing a layer, densely and sparsely, against NumPy, SciPy and torch."""
