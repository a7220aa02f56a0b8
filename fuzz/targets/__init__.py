"""One module a reader; each has a `TARGET`."""
