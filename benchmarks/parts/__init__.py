"""Parts of the benchmark scripts, and programs that they run."""
