"""Static analysis of a network: widths, growth, its equation, how far rounding carries."""
