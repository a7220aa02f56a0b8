"""The audit of a graph of stock processes."""
