"""Stand-alone scripts that only need lava-nc and numpy."""
