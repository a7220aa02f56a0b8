"""Lava: the backend, its worker and the processes."""
