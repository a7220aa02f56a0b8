"""One module for each reader, with its `TARGET`."""
