"""Graphs as Verilog: a module for each program, all neurons at once or one after the other."""
