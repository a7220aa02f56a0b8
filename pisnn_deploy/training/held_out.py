"""Random fields that are not used in training, to judge networks by while they are trained, and at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pisnn_deploy.physics.model import Model
from pisnn_deploy.training.assessment import HeldOut, first_order
from pisnn_deploy.training.fields import TrainingFields
from pisnn_deploy.training.pisnn import PISNN
from pisnn_deploy.training.recipe import TrainingOptions

HELD_OUT_FIELDS = 8
HELD_OUT_STRETCH = 2
"""Ratio of the held-out rollouts' length to the longest training horizon."""


@dataclass(frozen=True)
class HeldOutFields:
    """Random fields that are not used in training, and how long networks roll them out.

    Attributes
    ----------
    numbers : float64 tensor [HELD_OUT_FIELDS, numbers]
        Random numbers of the fields.
    steps : int
        PDE steps of a rollout.
    quantum : float
        To which values are rounded.
    """

    fields: TrainingFields
    numbers: torch.Tensor
    steps: int
    quantum: float

    @classmethod
    def drawn(cls, net: PISNN, fields: TrainingFields, options: TrainingOptions, seed: int) -> HeldOutFields:
        """Draw the fields of a seed."""
        stretch = 1 if net.spec.equation == "laplace" else HELD_OUT_STRETCH
        random = np.random.default_rng([seed, 2])
        numbers = torch.from_numpy(random.normal(size=(HELD_OUT_FIELDS, fields.numbers)))
        return cls(fields, numbers, stretch * max(options.horizons), 2.0**-options.quantum_exponent)

    @property
    def start(self) -> Any:
        """The fields before the first step."""
        return self.fields.start(self.numbers)

    @property
    def counted(self) -> Any:
        """Cells that are compared."""
        return self.fields.counted(self.steps)

    def end(self, candidate: PISNN) -> tuple[Any, Any]:
        """What a network makes of the fields, and the exact values at the time that its weights imply."""
        step = float(candidate.network.time_step(self.fields.mesh.spacing))
        time = torch.tensor([self.steps * step], dtype=torch.float64)
        exact = self.fields.at(self.numbers, time)[:, 0, self.counted]
        start = self.start
        values = candidate.rollout(start.values, start.wires, self.steps, self.quantum)[-1][:, self.counted]
        return values.numpy(), exact.numpy()

    def error(self, net: PISNN) -> float:
        """L2 error of a network, relative to the variation of the fields."""
        with torch.no_grad():
            values, exact = self.end(net)
            start = self.start.values.numpy()[:, self.counted]
        return HeldOut(start, exact, values, values, values, "", self.steps).error(values)


def held_out(untrained: PISNN, net: PISNN, fields: TrainingFields, options: TrainingOptions, seed: int) -> HeldOut:
    """Roll out held-out fields with the network before and after training and with a first-order scheme."""
    spec, own = net.spec, HeldOutFields.drawn(net, fields, options, seed)
    start, counted, steps = own.start, own.counted, own.steps
    with torch.no_grad():
        before, after = own.end(untrained), own.end(net)
        time = steps * float(net.network.time_step(fields.mesh.spacing))
        if spec.equation == "laplace":
            first = own.end(PISNN.from_model(_two_point(net.to_model()), quantised=False))[0]
            scheme = "the five-point Laplacian"
        else:
            widths, along = fields.mesh.spacing, spec.along or (1.0,) * len(spec.lengths)
            numbers = [spec.diffusivity * each * time / width**2 for each, width in zip(along, widths, strict=True)]
            first = first_order(start.values.numpy(), fields.mesh.shape, numbers, spec.velocity * time / widths[0])
            scheme = "first-order upwind" if spec.velocity else "FTCS"
    # Each network is compared at the physical time that its weights imply.
    moved = before[0] - before[1] + after[1]
    return HeldOut(start.values.numpy()[:, counted], after[1], moved, after[0], first, scheme, steps)


def _two_point(model: Model) -> Model:
    """Replace the flux network by the two-point flux."""
    spec = model.spec
    middle = (np.abs(spec.positions[0]) == 0.5) & (np.abs(spec.positions[1:]) == 0).all(axis=0)
    kernel = np.where(middle, -2 * spec.diffusion_number * spec.positions[0], 0.0)
    return Model(spec, (kernel[None, :],), (np.zeros(1),))
