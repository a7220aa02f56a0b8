"""Training fields solve the equations that they stand for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from models_under_test import heat_spec, laplace_model

from pisnn_deploy.mesh import window_cells
from pisnn_deploy.physics.model import ModelSpec
from pisnn_deploy.training.fields import FourierFields, HarmonicFields, training_fields
from pisnn_deploy.training.recipe import TrainingOptions

OPTIONS = TrainingOptions(
    cells=32, modes=3, batch=2, epochs=1, horizons=(1,), learning_rate=0.1, quantised_from=1.0, mean=2.0
)


def drawn(fields: FourierFields | HarmonicFields) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(4).normal(size=(2, fields.numbers)))


@pytest.mark.parametrize(
    "spec",
    [
        heat_spec(half_width=1),
        heat_spec(half_width=1, lengths=(1.0, 1.0)),
        heat_spec(equation="advection-diffusion", velocity=0.7, cell_width=1 / 32, half_width=1),
    ],
    ids=["line", "plane", "advection"],
)
def test_fourier_fields_solve_their_equation(spec: ModelSpec) -> None:
    fields = FourierFields(spec, OPTIONS)
    numbers = drawn(fields)
    tick = 1e-4
    before, now, after = fields.at(numbers, torch.tensor([0.2 - tick, 0.2, 0.2 + tick], dtype=torch.float64)).unbind(1)
    rate = ((after - before) / (2 * tick))[0].numpy()
    seen = window_cells(fields.mesh, 1, 0, np.zeros(0)).values(now[0].numpy())
    width = fields.mesh.spacing[0]
    flux = spec.velocity * seen.mean(axis=1) - spec.diffusivity * (seen[:, 1] - seen[:, 0]) / width
    gain = fields.mesh.divergence(flux / width)
    assert np.abs(rate - gain).max() < 0.08 * np.abs(rate).max()
    start = fields.start(numbers)
    assert torch.equal(start.values, fields.at(numbers, torch.zeros(1, dtype=torch.float64))[:, 0])
    assert abs(float(start.values.mean()) - 2.0) < 1e-12


def test_harmonic_fields_are_harmonic_away_from_the_walls() -> None:
    spec = laplace_model().spec
    fields = training_fields(spec, OPTIONS)
    assert isinstance(fields, HarmonicFields)
    start = fields.start(drawn(fields))
    counted = fields.counted(2)
    assert counted.numel() == 24**2
    values = start.values[0].reshape(fields.mesh.shape).numpy()
    gain = sum(np.roll(values, shift, axis) for axis in (0, 1) for shift in (1, -1)) - 4 * values
    inside = np.zeros(values.size, bool)
    inside[counted.numpy()] = True
    assert np.abs(gain[inside.reshape(values.shape)]).max() < 5e-3 * np.abs(values).max()
    assert torch.equal(fields.at(drawn(fields), torch.ones(3))[:, 2], start.values)
