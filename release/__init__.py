"""Distributions that anyone can build again, byte for byte, and their bill of materials."""
