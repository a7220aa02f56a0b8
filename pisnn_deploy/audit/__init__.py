"""Audit of a run: conservation invariants in every step, and recovery when one breaks."""
