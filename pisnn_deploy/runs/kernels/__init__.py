"""Compiled kernels of the `fast` backend, generated for each graph as instructions of LLVM."""
