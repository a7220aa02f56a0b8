"""Domain decomposition: the `fast` backend on several workers with halo exchange, with the same integers."""
