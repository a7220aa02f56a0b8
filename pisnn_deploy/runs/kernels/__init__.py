"""Compiled kernels of the `fast` backend; importing this imports numba."""
