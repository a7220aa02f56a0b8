"""Requests of users: compiling, running, checking, training and exporting models."""
