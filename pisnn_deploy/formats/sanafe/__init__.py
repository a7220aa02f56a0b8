"""Files for SANA-FE, a simulator of neuromorphic chips that runs as a program of its own."""
