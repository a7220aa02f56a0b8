"""What is solved: models, their clock and Fourier symbol, and the published problems."""
