"""Deploy physics-informed spiking neural networks as integers that conserve mass exactly."""

__version__ = "0.1.0"
