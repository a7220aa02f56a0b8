"""Pictures of runs and graphs."""
