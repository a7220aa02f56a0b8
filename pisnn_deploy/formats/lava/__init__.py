"""Scripts that lava-nc and numpy alone run."""
