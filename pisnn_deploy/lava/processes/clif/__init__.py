"""Process of all C-LIF neurons of a mesh."""
