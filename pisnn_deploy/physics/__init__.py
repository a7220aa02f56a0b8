"""Physics: models, their clock and Fourier symbol, and the built-in problems."""
