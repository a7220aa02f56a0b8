"""Readers and writers of other formats for networks and graphs."""
