"""PyTorch modules of graphs, which need torch and numpy alone."""
