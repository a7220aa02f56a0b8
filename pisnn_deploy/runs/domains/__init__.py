"""Fields that are cut into domains, one a worker: the `fast` backend with halo exchange, the same integers."""
