"""Process of a whole artifact, for Lava programs of users."""
