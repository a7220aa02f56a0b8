"""Audit process of a running graph."""
