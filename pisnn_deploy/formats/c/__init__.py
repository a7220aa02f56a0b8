"""C99 source of integer graphs."""
