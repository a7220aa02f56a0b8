"""Hardware profiles that come with the package."""
