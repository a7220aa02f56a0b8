"""The HDF5 layout of lava-dl's netx: reader and writer."""
