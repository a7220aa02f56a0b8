"""Injection of hardware faults: their specification, and their effect on memories and messages.

The audit has no access to them.
"""
