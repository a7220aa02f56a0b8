"""NIR: networks read as untrusted files, graphs written as primitives."""
