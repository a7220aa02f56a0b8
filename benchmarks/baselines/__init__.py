"""Alternatives for users: physics-informed networks, their naive conversions, and finite volumes."""
