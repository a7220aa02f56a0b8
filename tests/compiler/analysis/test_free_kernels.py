"""Integer kernels with exact moments, whatever was trained."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from models_under_test import heat_spec, laplace_model

from pisnn_deploy.compiler.analysis.free_kernels import free_kernels, moments_of_advection
from pisnn_deploy.compiler.analysis.kernels import symbol_error
from pisnn_deploy.physics.model import ModelSpec

TRAINED = np.array([1, 5, 18, 46, -46, -18, -5, -1]) / 128
SPACING = 1 / 128


def advection(diffusivity: float) -> ModelSpec:
    return heat_spec(
        equation="advection-diffusion", velocity=1.0, diffusivity=diffusivity, cell_width=SPACING, half_width=3
    )


def test_a_kernel_far_from_the_trained_one_is_the_best_of_its_threshold() -> None:
    kernels = free_kernels(heat_spec(), TRAINED, 5, SPACING)
    assert kernels[0].tolist() == [2, -1, 9, 12, -12, -9, 1, -2]
    assert (kernels == -kernels[:, ::-1]).all()
    finer = free_kernels(heat_spec(), TRAINED, 7, SPACING)
    assert [7, 1, 25, 63, -63, -25, -1, -7] in finer.tolist()


def test_no_kernel_lets_a_wave_grow_and_all_fit_one_synapse() -> None:
    kernels = free_kernels(heat_spec(), TRAINED, 6, SPACING)
    assert np.isfinite(symbol_error(kernels / 64, heat_spec(), SPACING, may_persist=True)).all()
    assert np.abs(kernels).max() <= 127


def test_parabolas_at_walls_keep_weights_even() -> None:
    spec = laplace_model().spec.model_copy(update={"leak": 400})
    kernels = free_kernels(spec, np.array([-2, 24, -24, 2]) / 64, 7, 1 / 64)
    assert (kernels % 2 == 0).all() and [-2, 36, -36, 2] in kernels.tolist()


@pytest.mark.parametrize("diffusivity", [1e-3, SPACING / 50, 0.0])
def test_advection_has_its_moments_in_integers(diffusivity: float) -> None:
    # Without diffusion, only the search itself takes such a spec: models are trained for some.
    spec = advection(1.0).model_copy(update={"diffusivity": diffusivity})
    trained = np.array([-0.02, 0.06, 0.3, 0.2, -0.05, 0.01])
    pairs = moments_of_advection(spec, 0.5, 7, SPACING)
    kernels = free_kernels(spec, trained, 7, SPACING)
    assert len(kernels) and pairs
    doubled = np.array([-5, -3, -1, 1, 3, 5])
    assert {(int(k.sum()), int(k @ doubled)) for k in kernels} <= set(pairs)
    for zeroth, first in pairs:
        courant = Fraction(zeroth, 128)
        ratio = float((-Fraction(first, 256) - courant**2 / 2) / courant)
        assert abs(ratio - diffusivity * 128) <= (0.01 * diffusivity * 128 or 1e-4)


def test_pure_advection_at_half_a_cell_a_step_has_exactly_no_diffusion() -> None:
    spec = advection(1.0).model_copy(update={"diffusivity": 0.0})
    assert moments_of_advection(spec, 0.5, 7, SPACING)[0] == (64, -32)


def test_windows_that_reach_across_have_no_other_kernels() -> None:
    spec = heat_spec(lengths=(1.0, 1.0), half_width=1, transverse=1)
    assert not len(free_kernels(spec, np.zeros(6), 7, SPACING))
