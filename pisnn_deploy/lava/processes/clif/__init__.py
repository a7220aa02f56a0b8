"""The C-LIF neurons of a mesh as one process."""
