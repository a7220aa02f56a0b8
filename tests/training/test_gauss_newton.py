"""Training of a hidden layer: its derivatives, its start, its resumption, and its integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from models_under_test import box

from pisnn_deploy.core.errors import CheckError, FileError
from pisnn_deploy.mesh import window_cells
from pisnn_deploy.project import zoo
from pisnn_deploy.training import gauss_newton
from pisnn_deploy.training.checkpoint import read_checkpoint
from pisnn_deploy.training.gauss_newton import characteristic_network
from pisnn_deploy.training.hidden_flux import Course, HiddenFlux, normal_equations, stencil
from pisnn_deploy.training.pisnn import PISNN, wiring
from pisnn_deploy.training.recipe import GaussNewtonOptions, Recipe
from pisnn_deploy.training.trainer import train


def small_recipe(**changes: object) -> Recipe:
    """Burgers on 32 cells, with a larger viscosity."""
    training: dict[str, object] = {
        "method": "gauss-newton",
        "seed": 3,
        "linear_units": 2,
        "lower": 0.5,
        "upper": 1.5,
        "fields": 2,
        "quiet_fields": 1,
        "modes": 2,
        "horizons": [4, 8],
        "iterations": [2, 2],
    }
    model = {
        "name": "small",
        "equation": "burgers",
        "diffusivity": 0.02,
        "cell_width": 1 / 32,
        "problem": "burgers1d",
        "lengths": [1.0],
        "half_width": 2,
        "hidden": [8],
        "weight_exponents": [7, 9],
        "diffusion_number": 0.2,
        "operating_range": {"lower": 0.3, "upper": 1.7},
    }
    return Recipe.model_validate({"model": model, "training": {**training, **changes}})


def test_stencils_are_exact_for_polynomials() -> None:
    edges = np.arange(-3, 4.0)
    averages = np.diff(edges**5 / 5 - edges**2)
    for shift in (0.0, -0.4, 0.7):
        value, slope = stencil(3, shift)
        assert abs(value @ averages - (shift**4 - 2 * shift)) < 1e-11
        assert abs(slope @ averages - (4 * shift**3 - 2)) < 1e-11


def test_the_gradient_is_that_of_the_loss() -> None:
    random = np.random.default_rng(1)
    network = HiddenFlux(random.normal(size=(3, 4)) / 9, random.normal(size=3) / 3, random.normal(size=3) / 9)
    start = 1 + random.normal(size=16) / 5
    course = Course(start, (2, 5), np.stack([np.roll(start, 1), np.roll(start, 2)]))
    found = normal_equations(network, [course])
    for index in range(network.vector().size):
        losses = []
        for sign in (1, -1):
            vector = network.vector()
            vector[index] += sign * 1e-6
            losses.append(normal_equations(network.with_vector(vector), [course]).loss)
        assert abs((losses[0] - losses[1]) / 2e-6 - 2 * found.gradient[index]) < 1e-4 * np.abs(found.gradient).max()
    assert np.allclose(found.matrix, found.matrix.T)


def test_a_rollout_that_blows_up_has_an_infinite_loss() -> None:
    network = HiddenFlux(np.full((1, 2), 1e30), np.ones(1), np.array([1e30]))
    assert normal_equations(network, [Course(np.arange(8.0), (9,), np.ones((1, 8)))]).loss == np.inf


def test_the_network_starts_as_the_flux_of_burgers() -> None:
    recipe = small_recipe()
    assert isinstance(recipe.training, GaussNewtonOptions)
    network = characteristic_network(recipe.model.model_copy(update={"hidden": (42,)}), recipe.training, 0)
    courant = 0.2 / 32 / 0.02
    flat = [float(network.flux(np.full(8, value))[0]) for value in (0.6, 1.0, 1.4)]
    speeds = np.diff(flat) / 0.4 / courant
    # The linear units start with a jitter, which moves both speeds alike.
    assert abs(speeds[1] - speeds[0] - 0.4) < 0.01 and np.abs(speeds - [0.8, 1.2]).max() < 0.1


@pytest.mark.parametrize("stop", [1, 3, 6])
def test_an_interrupted_training_resumes_to_the_same_weights(stop: int, tmp_path: Path) -> None:
    whole = train(small_recipe(), state_path=tmp_path / "whole")

    def interrupt(done: int, *_: object) -> None:
        if done == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(small_recipe(), state_path=tmp_path / "state", on_epoch=interrupt)
    resumed = train(small_recipe(), resume=True, state_path=tmp_path / "state")
    assert resumed.summary == whole.summary and resumed.model.spec == whole.model.spec
    pairs = ((model.weights + model.biases) for model in (resumed.model, whole.model))
    for left, right in zip(*pairs, strict=True):
        assert np.array_equal(left, right)
    assert not (tmp_path / "state").exists()


def test_weights_end_on_their_grid_and_the_loss_falls(tmp_path: Path) -> None:
    trained = train(small_recipe(), state_path=tmp_path / "state")
    for weight, exponent in zip(trained.model.weights, (7, 9), strict=True):
        integers = weight * 2**exponent
        assert np.array_equal(integers, np.rint(integers)) and np.abs(integers).max() <= 127
    summary = trained.summary
    assert summary["loss_before_rounding"] < summary["loss_first"] and np.isfinite(summary["loss_last"])
    unrounded = train(small_recipe(rounding="nearest"), state_path=tmp_path / "state")
    nearest = unrounded.model
    assert unrounded.summary["loss_before_rounding"] is None
    assert not np.array_equal(nearest.weights[0] * 2**7, np.rint(nearest.weights[0] * 2**7))


def test_the_zoo_s_burgers_is_on_its_grid_and_computes_in_lava_dl() -> None:
    with zoo.model_path("burgers1d") as path:
        model = read_checkpoint(path)
    for weight, exponent in zip(model.weights, model.spec.weight_exponents, strict=True):
        assert np.array_equal(weight * 2**exponent, np.rint(weight * 2**exponent))
    network = HiddenFlux(model.weights[0], model.biases[0], model.weights[1][0])
    mesh = box((256,))
    values = 1 + 0.4 * np.sin(2 * np.pi * np.arange(256) / 256)
    lower_faces = np.argsort(mesh.target)
    seen = window_cells(mesh, 3, 0, np.zeros(0)).values(values)[lower_faces]
    assert np.allclose(network.flux(values), np.maximum(seen @ network.weight.T + network.bias, 0) @ network.output)
    net = PISNN.from_model(model, quantised=False)
    with torch.no_grad():
        fields = net.rollout(torch.from_numpy(values)[None], wiring(mesh, model.spec), 1, 2.0**-14)
    flux = network.flux(values) + model.biases[1][0]
    assert np.allclose(fields[1, 0].numpy(), values + flux - np.roll(flux, -1), atol=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"iterations": [2]}, "training.iterations has 1 entry, but training.horizons has 2"),
        ({"lower": 2.0}, "training.lower 2 must be below upper 1.5"),
        ({"linear_units": 8}, r"model.hidden must be one layer of more than 8 units, not \[8\]"),
    ],
)
def test_a_wrong_recipe_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small_recipe(**changes)


def test_an_infinite_loss_stops_at_once_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = gauss_newton.characteristic_network

    def wild(*words: object) -> HiddenFlux:
        network = start(*words)  # type: ignore[arg-type]
        return HiddenFlux(network.weight, network.bias, network.output * 1e30)

    monkeypatch.setattr(gauss_newton, "characteristic_network", wild)
    with pytest.raises(CheckError) as caught:
        train(small_recipe(), state_path=tmp_path / "state")
    assert str(caught.value) == (
        "training small: the loss is inf on rollouts of 4 PDE steps; shorten the horizons or lower "
        "model.diffusion_number"
    )
    assert not (tmp_path / "state").exists()


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    def interrupt(done: int, *_: object) -> None:
        raise KeyboardInterrupt

    state = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        train(small_recipe(), state_path=state, on_epoch=interrupt)
    content = torch.load(state, weights_only=True)
    content["parameters"] = content["parameters"][:-1]
    torch.save(content, state)
    with pytest.raises(FileError) as caught:
        train(small_recipe(), resume=True, state_path=state)
    assert str(caught.value) == f"{state}: is not a complete training state; train without `resume`"
