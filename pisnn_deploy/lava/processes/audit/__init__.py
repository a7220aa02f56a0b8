"""The audit inside the graph."""
