"""Models of processes that faults hit; only faulty runs take them."""
