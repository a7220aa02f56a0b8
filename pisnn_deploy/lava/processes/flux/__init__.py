"""Flux compartments of the C-LIF neurons."""
