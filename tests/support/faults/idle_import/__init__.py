"""A fault that the audit or the supervisor must see."""
