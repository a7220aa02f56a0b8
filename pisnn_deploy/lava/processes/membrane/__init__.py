"""Membrane compartments of the C-LIF neurons."""
