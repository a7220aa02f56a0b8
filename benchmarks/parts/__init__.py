"""What scripts of this folder are made of, and what they run beside this package."""
