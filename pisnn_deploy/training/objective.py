"""Training objective: deviation of rollouts from the equation, and growth of waves."""

from __future__ import annotations

import numpy as np
import torch

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.physics.symbol import gain_along
from pisnn_deploy.training.fields import TrainingFields
from pisnn_deploy.training.pisnn import PISNN
from pisnn_deploy.training.recipe import TrainingOptions

PENALISED_WAVES = {1: 65, 2: 17, 3: 9}
"""Waves along each axis on which growth is penalised."""


class RolloutDefect(torch.nn.Module):
    """Deviation of a PISNN's rollout from the exact solution."""

    def __init__(self, net: PISNN, fields: TrainingFields, options: TrainingOptions) -> None:
        super().__init__()
        self.net = net
        self.steps = 1
        self._fields = fields
        self._noise = options.noise
        self._quantum = 2.0**-options.quantum_exponent

    def forward(self, drawn: torch.Tensor) -> torch.Tensor:
        """Defect of each field at each PDE step, relative to its variation.

        The reference is taken at the physical time that the weights imply, so that rounding a weight changes the clock
        instead of counting as an error.

        Parameters
        ----------
        drawn : float64 tensor [batch, numbers + cells]
            Standard normal variables: first those of the field, then noise.

        Returns
        -------
        float64 tensor [batch, steps, cells]
            Relative defects of the cells that count.
        """
        numbers = self._fields.numbers
        start = self._fields.start(drawn[:, :numbers])
        values = start.values + self._noise * drawn[:, numbers:]
        fields = self.net.rollout(values, start.wires, self.steps, self._quantum)
        time_step = self.net.network.time_step(self._fields.mesh.spacing)
        times = torch.arange(1, self.steps + 1, dtype=torch.float64) * time_step
        exact = self._fields.at(drawn[:, :numbers], times)
        defect: torch.Tensor = (fields[1:].transpose(0, 1) - exact) / start.size[:, None, None]
        return defect[:, :, self._fields.counted(self.steps)]


class Objective:
    """Mean square defect plus a penalty on growing waves."""

    def __init__(self, net: PISNN, options: TrainingOptions) -> None:
        self._net = net
        self._weight = options.stability if not net.spec.hidden else 0.0
        axes = len(net.spec.lengths)
        turn = np.linspace(-np.pi, np.pi, PENALISED_WAVES[axes])
        waves = np.stack([grid.reshape(-1) for grid in np.meshgrid(*(turn,) * axes, indexing="ij")])
        # The gain is linear in the kernels, so the gains of the unit kernels suffice.
        unit, spec = np.eye(net.spec.positions.shape[1]), net.spec
        alone = [
            [unit * (axis == other) for other in range(axes)] if spec.rates else [unit] * axes
            for axis in range(len(spec.rates) or 1)
        ]
        gains = [gain_along(kernels, spec.positions, waves) for kernels in alone]
        self._gains = torch.from_numpy(np.concatenate(gains))

    def __call__(self, defect: torch.Tensor, zero: torch.Tensor) -> torch.Tensor:
        """Loss of `defect`; the second argument is lava-dl's target."""
        loss = defect.square().mean()
        if self._weight:
            gains = self._net.network.kernels().reshape(-1).to(torch.complex128) @ self._gains
            leak = self._net.neuron.integer_leak() / MEMORYLESS
            # With a leak, symmetric kernels are stable beyond the unit disc, up to gains of -2 (2 - leak / 4096).
            beyond = torch.relu(-gains.real - 2 * (2 - leak)) if leak < 1 else torch.relu((1 + gains).abs() - 1)
            loss = loss + self._weight * beyond.square().mean()
        return loss
