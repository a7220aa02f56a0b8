"""What a PDE step takes on hardware, as far as counts and public figures carry."""
