"""Conservation laws as data: expressions, laws, their speeds, references and problems."""
