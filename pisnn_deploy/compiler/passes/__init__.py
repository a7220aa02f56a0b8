"""The passes of the compiler: plain functions from graph to graph, one file each."""
