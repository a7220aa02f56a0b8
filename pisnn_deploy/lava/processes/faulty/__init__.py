"""Models with faults, used only in runs with faults."""
