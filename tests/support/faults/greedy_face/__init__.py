"""Faces that take what their sources do not have."""
