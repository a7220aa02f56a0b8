"""Fuzzing of every parser of files that may come from anyone (docs/explanation/security.md)."""
