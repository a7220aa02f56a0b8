"""A Lava program that knows nothing of this package but its public names."""
