"""Estimate the cost of a PDE step on hardware from counts and public figures."""
