"""A run that a person watches and steers in a browser: `session`, `player`, `server`."""
