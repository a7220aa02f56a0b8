"""Flux compartments with a limiter."""
