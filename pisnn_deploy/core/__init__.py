"""Foundations without physics: errors, integer arithmetic, files, process limits."""
