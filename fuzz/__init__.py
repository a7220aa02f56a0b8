"""Fuzzing of every parser of files that may come from anyone (docs/security.md)."""
