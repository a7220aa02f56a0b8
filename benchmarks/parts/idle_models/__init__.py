"""Process models that send and receive what the real ones do, and compute nothing."""
