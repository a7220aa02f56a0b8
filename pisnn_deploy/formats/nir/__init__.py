"""NIR: reader of networks, writer of networks and graphs."""
