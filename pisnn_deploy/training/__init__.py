"""Training in lava-dl: the C-LIF neuron, flux networks, PISNNs, recipes and checkpoints."""
