"""What users would otherwise pick: physics-informed networks, their naive conversions, and finite volumes."""
