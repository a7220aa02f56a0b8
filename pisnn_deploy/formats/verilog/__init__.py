"""Graphs as Verilog: a module for each program, all neurons at once, by rows of a grid, or one after the other."""
