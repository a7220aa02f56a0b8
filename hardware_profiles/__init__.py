"""Hardware profiles shipped with the package."""
