"""Domain decomposition: the `fast` backend on several MPI ranks with halo exchange, with the same integers."""
