"""The audit of a run: the invariants, step by step, and what is done when one breaks."""
