"""Everything that touches Lava: the backend, its worker, the processes."""
