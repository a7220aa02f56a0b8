"""How well a trajectory conserves, whoever computed it: fields over time from a file, without a graph."""
