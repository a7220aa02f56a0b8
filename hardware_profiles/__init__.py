"""Built-in hardware profiles."""
