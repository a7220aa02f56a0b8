"""Process of neurons with any program."""
