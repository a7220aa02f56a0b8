"""Faults of a chip that a run is to survive or to report: what they are, and what they do to memories and messages.

The audit knows nothing of them.
"""
