"""A process that drives a side, in a folder of its own, because Lava executes the files beside it."""
