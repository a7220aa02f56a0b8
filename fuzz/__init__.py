"""Coverage-guided fuzzing of every reader of untrusted files (docs/security.md)."""
