"""Hidden populations of the flux network."""
