"""Process models with one fault each, for tests only."""
