"""Neurons of any program."""
