"""From a network and a problem to a model: what is derived, what is projected, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models_under_test import laplace_model

from fuzz.flux_files import KERNEL
from pisnn_deploy.core.errors import FileError, UsageError
from pisnn_deploy.formats.affine import Layer
from pisnn_deploy.formats.assembly import assemble
from pisnn_deploy.formats.reading import Network, Request
from pisnn_deploy.physics.model import Model

PATH = Path("My flux.onnx")
RECTIFIED = (
    Layer(np.stack([KERNEL, -KERNEL]), np.zeros(2)),
    Layer(np.array([[1.0, -1.0]]), np.zeros(1)),
)
"""relu(x) - relu(-x): the linear kernel in a hidden layer."""


def linear(kernel: Any = KERNEL, bias: float = 0.0, **said: Any) -> Network:
    weight = np.atleast_2d(np.asarray(kernel, np.float64))
    return Network("onnx", (Layer(weight, np.array([bias])),), (weight.size,), said)


def model(network: Network, name: str | None = "heat1d", number: float | None = None, **more: Any) -> Model:
    return assemble(PATH, network, Request(name, number, **more)).model


def test_a_linear_network_says_how_long_a_step_lasts() -> None:
    spec = model(linear()).spec
    assert (spec.name, spec.equation, spec.problem, spec.diffusivity) == ("my_flux", "diffusion", "heat1d", 0.01)
    assert (spec.half_width, spec.hidden, spec.weight_exponents, spec.leak) == (4, (), (8,), 4096)
    assert spec.diffusion_number == (46 * 1 + 18 * 3 + 5 * 5 + 1 * 7) / 128
    assert spec.operating_range.model_dump() == {"lower": -0.123, "upper": 2.12, "slope": 7.95, "flux": None}


def test_the_leak_lengthens_a_step() -> None:
    assert model(linear(leak=1024)).spec.diffusion_number == 4 * model(linear()).spec.diffusion_number


def test_problems_supply_what_they_know() -> None:
    laplace = model(linear(laplace_model().weights[0]), "laplace2d").spec
    assert (laplace.equation, laplace.lengths, laplace.diffusion_number) == ("laplace", (1.0, 1.0), (24 - 2 * 3) / 64)
    assert laplace.damping == pytest.approx(2 * np.pi * np.sqrt(2), rel=1e-15)
    # Lax and Wendroff's flux for a Courant number of 1/2, and a diffusion number of 0.1.
    lax_wendroff = np.array([0.5 * 1.5 / 2 + 0.1, 0.5 * 0.5 / 2 - 0.1])
    moving = model(linear(lax_wendroff), "advection_diffusion1d", shape=(64,)).spec
    assert (moving.velocity, moving.cell_width, moving.equation) == (1.0, 1 / 64, "advection-diffusion")
    assert moving.diffusion_number == pytest.approx(0.1, rel=1e-12)
    burgers = model(Network("onnx", RECTIFIED, (8,)), "burgers1d", 0.2).spec
    assert (burgers.equation, burgers.cell_width, burgers.diffusion_number) == ("burgers", 1 / 256, 0.2)


def test_a_small_asymmetry_is_projected_and_told() -> None:
    kernel = KERNEL.copy()
    kernel[0] += 0.01
    imported = assemble(PATH, linear(kernel, 1e-4), Request("heat1d"))
    found = imported.model.weights[0][0]
    assert np.array_equal(found, -found[::-1]) and not imported.model.biases[0].any()
    assert found[0] == pytest.approx(KERNEL[0] + 0.005)
    share = 100 * 0.01 / np.sqrt(2) / np.linalg.norm(kernel)
    assert imported.notes == (
        "a bias of 0.0001 was removed, because a constant field must not change",
        f"the kernel was made antisymmetric, which changed it by {share:.2g} %",
    )


def test_an_antisymmetric_kernel_is_not_touched() -> None:
    assert assemble(PATH, linear(), Request("heat1d")).notes == ()
    assert np.array_equal(model(linear()).weights[0][0], KERNEL)


def test_windows_of_a_plane() -> None:
    kernel = np.array([3.0, 20.0, 3.0, -3.0, -20.0, -3.0]) / 128
    plane = Network("onnx", linear(kernel).layers, (2, 3))
    assert (model(plane, "heat2d").spec.half_width, model(plane, "heat2d").spec.transverse) == (1, 1)
    flat = Network("onnx", linear(kernel).layers, (6,), {"transverse": 1})
    assert model(flat, "heat2d").spec == model(plane, "heat2d").spec


def test_a_hidden_layer_needs_its_diffusion_number() -> None:
    found = assemble(PATH, Network("onnx", RECTIFIED, (8,)), Request("heat1d", 1.0))
    assert found.model.spec.hidden == (2,) and found.model.spec.weight_exponents == (8, 6) and found.notes == ()
    shifted = (RECTIFIED[0], Layer(RECTIFIED[1].weight, np.array([0.001])))
    notes = assemble(PATH, Network("onnx", shifted, (8,)), Request("heat1d", 1.0)).notes
    assert len(notes) == 1 and notes[0].startswith("a constant field has a flux of up to 0.")


WITHOUT = (
    "does not name its problem; give a `problem`: heat1d, heat2d, heat3d, laplace2d, advection_diffusion1d, burgers1d"
)


@pytest.mark.parametrize(
    ("network", "name", "number", "message"),
    [
        (linear(), None, None, WITHOUT),
        (linear(problem="heat1d"), "heat2d", None, "was made for the problem 'heat1d', not 'heat2d'"),
        (
            linear(),
            "heat1d",
            1.0,
            "is linear, so its weights determine the diffusion number; omit `diffusion_number`",
        ),
        (
            Network("onnx", RECTIFIED, (8,)),
            "heat1d",
            None,
            "has hidden layers, so its weights do not determine the length of a PDE step; give the `diffusion_number` "
            "that it was "
            "trained for: diffusivity * dt / h^2",
        ),
        (
            linear([0.4, 0.1, -0.3, 0.2]),
            "heat1d",
            None,
            "has a kernel that is not antisymmetric (deviation 81.6 %, allowed 5 %; its weights sum to 0.4), so a "
            "constant field would change; train with an antisymmetric kernel",
        ),
        (
            linear(KERNEL + 0.02 * np.array([1.0, -3.0, 3.0, -1.0, 0.0, 0.0, 0.0, 0.0]) + 1e-10),
            "heat1d",
            None,
            "has a kernel that is not antisymmetric (deviation 11.4 %, allowed 5 %), so a mirrored field would not "
            "have the mirrored flux; train with an antisymmetric kernel",
        ),
        (
            linear(-KERNEL),
            "heat1d",
            None,
            "has a kernel with the diffusion number -1.03, which would run diffusion backwards in time; the first "
            "input must be the cell furthest back along the axis, and a flux along the axis positive",
        ),
        (
            linear(bias=0.5),
            "heat1d",
            None,
            "has a bias of 0.5, which gives a constant field a flux that diffusion does not have; train without a "
            "bias, or subtract it",
        ),
        (linear(KERNEL[:7]), "heat1d", None, "has a window of 7 cells, which is not symmetric about the face"),
        (linear(np.zeros(8)), "heat1d", None, "all weights of layer 0 are 0"),
        *(
            (
                linear(KERNEL * scale),
                "heat1d",
                None,
                f"the largest weight of layer 0 is {scale * KERNEL.max():g}, below 2.32831e-10 and too small for "
                "integers; weights are dimensionless: train the network on cell values, not on scaled ones",
            )
            for scale in (1e-10, 1e-200, 1e-310)
        ),
        (linear(KERNEL * np.nan), "heat1d", None, "layer 0 contains NaN or infinity"),
        (
            linear(200 * KERNEL),
            "heat1d",
            None,
            "layer 0 has the weight 71.875, above 63.5; weights are dimensionless: train the network on cell "
            "values, not on scaled ones",
        ),
        (linear(half_width=3), "heat1d", None, "spec.half_width: is 3, but the network has 4"),
        (linear(leak=0), "heat1d", None, "spec.leak: must be at least 1, not 0"),
        (linear(lengths=1), "heat1d", None, "spec.lengths: must be a list, not 1"),
        (
            Network("onnx", linear().layers, (4, 2)),
            "heat2d",
            None,
            "has a window of 4 x 2 cells, which does not fit 2 axes: all but the first size must be equal and odd",
        ),
        (
            Network("onnx", (RECTIFIED[0], Layer(np.array([[1.0, 1.0]]), np.ones(1))), (8,)),
            "heat1d",
            1.0,
            "gives constant fields a flux of up to 1, more than 5 % of the largest flux 1.29; train it further, or "
            "subtract its flux of a constant field",
        ),
    ],
)
def test_what_describes_no_equation_is_refused(
    network: Network, name: str | None, number: float | None, message: str
) -> None:
    with pytest.raises(FileError) as caught:
        model(network, name, number)
    assert str(caught.value) == f"My flux.onnx: {message}"


def test_an_unknown_problem_is_named() -> None:
    with pytest.raises(UsageError, match=r"^problem 'heat9d': unknown; use heat1d, "):
        model(linear(), "heat9d")
