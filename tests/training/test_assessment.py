"""What a training came to is measured, and a training that failed says why."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from models_under_test import heat_model, hidden_model

from pisnn_deploy.core.errors import CheckError
from pisnn_deploy.mesh import structured_mesh
from pisnn_deploy.physics.model import Model
from pisnn_deploy.physics.problems.burgers import cole_hopf
from pisnn_deploy.physics.problems.modes import Modes
from pisnn_deploy.project import zoo
from pisnn_deploy.training.assessment import HeldOut, assess, first_order, godunov, integer_kernels, strict
from pisnn_deploy.training.checkpoint import read_checkpoint
from pisnn_deploy.training.hidden_flux import HiddenFlux
from pisnn_deploy.training.pisnn import PISNN
from pisnn_deploy.training.recipe import read_recipe
from pisnn_deploy.training.trainer import train

ONES = np.array([[0.0, 1.0, 0.0, -1.0]])


def held_out(after: float, before: float = 1.0, scheme: float = 0.5) -> HeldOut:
    """Fields whose errors, relative to the variation, are as given."""
    fields = [ONES + np.array([[error * math.sqrt(2), 0.0, 0.0, 0.0]]) for error in (before, after, scheme)]
    return HeldOut(ONES, ONES, fields[0], fields[1], fields[2], "FTCS", 4)


def test_a_training_that_succeeded_has_no_failures() -> None:
    judged = assess(heat_model(), (1 / 64,), 0.0242, held_out(0.25), None)
    assert judged.failures == () and judged.held_out_error == 0.25 and judged.accept == 0.5
    assert judged.loss_before == 1.0 and judged.amplification_factor < 1
    names = {one.name: one for one in judged.coefficients}
    assert abs(names["diffusion number"].learned - 127 / 128) < 1e-12 and names["diffusion number"].wanted == 1.0
    assert names["effective diffusivity"].wanted == 0.01


@pytest.mark.parametrize(
    ("fields", "accept", "failures"),
    [
        (held_out(0.75), None, ["the held-out error 7.50e-01 is above 5.00e-01, that of FTCS on the same mesh"]),
        (held_out(0.25), 0.125, ["the held-out error 2.50e-01 is above 1.25e-01, training.accept"]),
        (held_out(0.25, before=0.125), None, ["the loss rose from 1.56e-02 to 6.25e-02 on held-out fields"]),
        (held_out(math.inf), None, ["held-out fields blow up"]),
        (held_out(math.nan), None, ["held-out fields blow up"]),
    ],
)
def test_each_way_to_fail_is_told(fields: HeldOut, accept: float | None, failures: list[str]) -> None:
    assert list(assess(heat_model(), (1 / 64,), 0.0242, fields, accept).failures) == failures


def test_growth_fails_and_names_the_wave() -> None:
    unstable = heat_model((0.0, 0.0, 0.0, 1.5))
    judged = assess(unstable, (1 / 64,), 0.03, held_out(0.25), None)
    assert judged.failures == (
        "waves of 2 cells grow by 5 in each PDE step; raise training.stability or lower model.diffusion_number",
    )
    assert (
        assess(unstable, (1 / 64,), -0.03, held_out(0.25), None).failures[0] == "the weights imply a time step of -0.03"
    )


def test_figures_that_are_not_finite_are_none_in_json() -> None:
    document = assess(heat_model(), (1 / 64,), 0.0242, held_out(math.nan), None).document
    assert document["held_out_error"] is None and document["scheme"] == "FTCS" and document["held_out_steps"] == 4


def test_the_integer_kernel_is_the_one_that_the_network_computes_with() -> None:
    with zoo.model_path("heat2d") as path:
        model = read_checkpoint(path)
    net = PISNN.from_model(model)
    with torch.no_grad():
        assert np.array_equal(net.network.kernels().numpy()[0], integer_kernels(model, 1.0)[0])


def test_the_kernel_of_a_hidden_network_is_the_derivative_of_its_flux() -> None:
    model = hidden_model((5,), seed=3)
    rounded = Model(
        model.spec,
        tuple(np.rint(w * 128) / 128 for w in model.weights),
        model.biases,
    )
    network = HiddenFlux(rounded.weights[0], rounded.biases[0], rounded.weights[1][0])
    window, kernel = np.full(4, 0.7), integer_kernels(model, 0.7)[0]

    def flux(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
        return float(np.maximum(network.weight @ values + network.bias, 0) @ network.output)

    for position in range(4):
        step = np.eye(4)[position] * 1e-6
        assert abs((flux(window + step) - flux(window - step)) / 2e-6 - kernel[position]) < 1e-8


@pytest.mark.parametrize("courant", [0.0, 3.7, -2.2])
def test_the_first_order_scheme_is_of_first_order_in_the_cell_width(courant: float) -> None:
    errors = []
    for cells in (128, 256):
        x = (np.arange(cells) + 0.5) / cells
        scale = cells / 64
        start = np.sin(2 * np.pi * x)[None]
        diffusion, moved = 0.5 * scale**2, courant * scale
        damping = math.exp(-diffusion * (2 * math.pi / cells) ** 2)
        exact = damping * np.sin(2 * np.pi * (x - moved / cells))
        errors.append(float(np.abs(first_order(start, (cells,), (diffusion,), moved) - exact).max()))
    assert errors[1] < errors[0] * (0.3 if courant == 0 else 0.7)


def test_godunov_converges_to_cole_hopf() -> None:
    modes, errors = Modes(0.2, (0.5,), (0.3,)), []
    for cells in (64, 128):
        mesh = structured_mesh((cells,), (1.0,), (("periodic", "periodic"),))
        start, exact = (cole_hopf(mesh, modes, 0.005, time).values for time in (0.0, 0.5))
        end = godunov(start[None], 1 / cells, 0.005, 0.5)[0]
        assert abs(end.sum() - start.sum()) < 1e-10
        errors.append(float(np.abs(end - exact).mean()))
    assert errors[1] < 0.65 * errors[0]


def test_a_loss_that_is_not_finite_stops_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    with zoo.recipe_path("heat1d") as path:
        text = path.read_text().replace("cells: 64", "cells: 16").replace("modes: 28", "modes: 6")
    text = text.replace("[1, 2, 4, 8, 16]", "[800]").replace("diffusion_number: 1.0", "diffusion_number: 7.0")
    (tmp_path / "r.yaml").write_text(text)
    seen: list[int] = []
    with pytest.raises(CheckError) as caught:
        train(
            read_recipe(tmp_path / "r.yaml"), state_path=tmp_path / "state", on_epoch=lambda done, *_: seen.append(done)
        )
    assert (
        str(caught.value) == "training heat1d: the loss is inf in epoch 1; lower learning_rate or shorten the horizons"
    )
    assert seen == [] and not (tmp_path / "state").exists()


def test_laplace_is_judged_by_its_damping() -> None:
    with zoo.model_path("laplace2d") as path:
        model = read_checkpoint(path)
    step = math.sqrt(0.29) / 32
    judged = assess(model, (1 / 32,) * 2, step, held_out(0.25), None)
    assert [one.name for one in judged.coefficients] == ["diffusion number", "damping"] and judged.failures == ()


def test_a_coefficient_that_is_not_finite_is_a_failure_and_none_in_json() -> None:
    with zoo.model_path("laplace2d") as path:
        model = read_checkpoint(path)
    rigid = Model(model.spec.model_copy(update={"leak": 4096, "damping": 1e6}), model.weights, model.biases)
    judged = assess(rigid, (1 / 32,) * 2, math.sqrt(0.29) / 32, held_out(0.25), None)
    assert "the integer weights have the damping inf, expected 1e+06; lower model.damping" in judged.failures
    assert judged.document["coefficients"][1] == {"name": "damping", "learned": None, "wanted": 1e6}
    json.dumps(judged.document, allow_nan=False)


def test_plain_data_is_made_strict_at_any_depth() -> None:
    assert strict({"a": (1, math.nan, {"b": [-math.inf, 0.5, None, "inf"]}), "c": True}) == {
        "a": [1, None, {"b": [None, 0.5, None, "inf"]}],
        "c": True,
    }
