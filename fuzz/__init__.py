"""Coverage-guided fuzzing of every reader of files that may come from anyone (docs/security.md)."""
