"""What can be said of a network before it runs: widths, growth, its equation, how far rounding carries."""
