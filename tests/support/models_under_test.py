"""Models and graphs that tests share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from compiled_once import compile_once

from pisnn_deploy.compiler import CompileOptions, GraphOptions, Lower
from pisnn_deploy.compiler.options import Limiter
from pisnn_deploy.formats.reading import Request
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import FLUX_DIGITS, Coding
from pisnn_deploy.mesh import Mesh, parse_boundary, structured_mesh
from pisnn_deploy.physics.model import Model, ModelSpec, OperatingRange
from pisnn_deploy.physics.problems import problem
from pisnn_deploy.programs.neurons import rectifier_shift
from pisnn_deploy.project import zoo
from pisnn_deploy.project.model_file import read_model
from pisnn_deploy.target import load_profile


def heat_spec(**changes: object) -> ModelSpec:
    """The spec of a linear heat model, with changes."""
    plain: dict[str, object] = {
        "name": "heat1d",
        "equation": "diffusion",
        "diffusivity": 0.01,
        "problem": "heat1d",
        "lengths": (1.0,),
        "half_width": 4,
        "weight_exponents": (7,),
        "diffusion_number": 1.0,
        "operating_range": OperatingRange(lower=0.0, upper=2.0, slope=7.0),
    }
    return ModelSpec.model_validate({**plain, **changes})


def heat_model(half: tuple[float, ...] = (1 / 128, 4 / 128, 18 / 128, 46 / 128), **changes: object) -> Model:
    """A linear heat model from the lower half of its antisymmetric kernel."""
    lower = np.array(half)
    kernel = np.concatenate([lower, -lower[::-1]])
    return Model(heat_spec(half_width=len(half), **changes), (kernel[None, :],), (np.zeros(1),))


def hidden_model(channels: tuple[int, ...] = (4,), seed: int = 1, leak: int = 4096) -> Model:
    """A heat model with hidden layers of random weights around a contracting flux."""
    rng = np.random.default_rng(seed)
    widths = (4, *channels, 1)
    weights, biases = [], []
    for inputs, outputs in zip(widths, widths[1:], strict=False):
        weights.append(rng.uniform(-0.4, 0.4, (outputs, inputs)))
        biases.append(rng.uniform(-0.2, 0.2, outputs))
    weights[0] -= weights[0].mean(axis=1, keepdims=True)
    weights[-1] *= 0.1
    biases[-1][:] = 0.0
    spec = heat_spec(
        half_width=2,
        hidden=channels,
        leak=leak,
        weight_exponents=(7,) * (len(channels) + 1),
        operating_range=OperatingRange(lower=-8.0, upper=8.0),
    )
    return Model(spec, tuple(weights), tuple(biases))


def box(shape: tuple[int, ...], boundary: str = "periodic") -> Mesh:
    """A mesh of a unit box."""
    return structured_mesh(shape, (1.0,) * len(shape), parse_boundary(boundary, len(shape)).sides)


def laplace_model() -> Model:
    """A linear Laplace model with friction and quadratic ghost cells."""
    spec = heat_spec(
        name="laplace2d",
        equation="laplace",
        diffusivity=1.0,
        damping=8.9,
        problem="laplace2d",
        lengths=(1.0, 1.0),
        half_width=2,
        wall="quadratic",
        weight_exponents=(6,),
        diffusion_number=0.28,
        operating_range=OperatingRange(lower=-0.5, upper=1.5, flux=2.0),
    )
    return Model(spec, (np.array([[-2.0, 24.0, -24.0, 2.0]]) / 64,), (np.zeros(1),))


def plane_model() -> Model:
    """A heat model that sees three lines of cells on a plane."""
    spec = heat_spec(
        name="heat2d", problem="heat2d", lengths=(5.0, 6.0), half_width=1, transverse=1, diffusion_number=0.2
    )
    kernel = np.array([3.0, 20.0, 3.0, -3.0, -20.0, -3.0]) / 128
    return Model(spec, (kernel[None, :],), (np.zeros(1),))


def space_model() -> Model:
    """A heat model that sees one cell on either side in space; its box has room for 6 x 5 x 7 cubic cells."""
    spec = heat_spec(
        name="heat3d", problem="heat3d", lengths=(6.0, 5.0, 7.0), half_width=1, diffusivity=1.0, diffusion_number=0.15
    )
    return Model(spec, (np.array([[19.0, -19.0]]) / 128,), (np.zeros(1),))


def compiled_box(
    model: Model, shape: tuple[int, ...], boundary: str, coding: Coding = "delta", limiter: Limiter = "none"
) -> IntegerGraph:
    """A model compiled for a small box."""
    sides, profile = parse_boundary(boundary, len(shape)), load_profile("loihi2")
    return compile_once(
        model, CompileOptions(Lower(shape, sides), profile, GraphOptions(coding=coding, limiter=limiter))
    )


def compiled(
    model: Model | None = None,
    cells: int = 16,
    boundary: str = "periodic",
    coding: Coding = "delta",
    limiter: Limiter = "none",
) -> IntegerGraph:
    """A model compiled for a small line."""
    return compiled_box(model or heat_model(), (cells,), boundary, coding, limiter)


def seeing_box(
    model: Model | None = None, shape: tuple[int, ...] = (16,), boundary: str = "periodic", coding: Coding = "delta"
) -> IntegerGraph:
    """A model compiled for a small box, whose faces see residues."""
    sides, profile = parse_boundary(boundary, len(shape)), load_profile("loihi2")
    options = CompileOptions(Lower(shape, sides), profile, GraphOptions(coding=coding, residues="seen"))
    return compile_once(model or heat_model(), options)


def stock_box(
    model: Model | None = None, shape: tuple[int, ...] = (16,), boundary: str = "periodic", send_threshold: int = 1
) -> IntegerGraph:
    """A model compiled for Lava's own processes."""
    sides, target = parse_boundary(boundary, len(shape)), load_profile("loihi2")
    options = CompileOptions(
        Lower(shape, sides), target, GraphOptions(processes="stock", send_threshold=send_threshold)
    )
    return compile_once(model or heat_model(), options)


def binary_box(
    model: Model, shape: tuple[int, ...], boundary: str, coding: Coding = "delta", limiter: Limiter = "none"
) -> IntegerGraph:
    """A model compiled for binary spikes."""
    sides, profile = parse_boundary(boundary, len(shape)), load_profile("loihi1")
    return compile_once(
        model, CompileOptions(Lower(shape, sides), profile, GraphOptions(coding=coding, limiter=limiter))
    )


def oscillating_model(half: tuple[float, ...] = (-12 / 128, 48 / 128), **changes: object) -> Model:
    """A stable heat model that takes from empty cells, over a range in which one cell may hold much."""
    return heat_model(half, operating_range=OperatingRange(lower=-64.0, upper=64.0), **changes)


def zoo_graph(name: str, shape: tuple[int, ...] | None = None) -> IntegerGraph:
    """A model of the zoo, compiled on its own mesh or another, between its problem's own sides."""
    from pisnn_deploy.training.checkpoint import read_checkpoint

    with zoo.model_path(name) as path:
        model = read_checkpoint(path)
    shape = shape or problem(name).default_shape
    sides = problem(name).default_boundary(shape)
    return compile_once(model, CompileOptions(Lower(shape, sides), load_profile("loihi2")))


def zoo_model(name: str) -> Model:
    """A model of the zoo."""
    return read_model(name, Request(None, None, None)).model


def deep_model() -> Model:
    """A heat model in space whose windows reach beyond vertices."""
    layers = np.zeros((4, 3, 3))
    layers[0] = [[0, 1, 0], [1, 2, 1], [0, 1, 0]]
    layers[1] = [[1, 2, 1], [2, 14, 2], [1, 2, 1]]
    layers[2:] = -layers[1::-1]
    spec = heat_spec(
        name="heat3d",
        problem="heat3d",
        lengths=(1.0, 1.0, 1.0),
        half_width=2,
        transverse=1,
        weight_exponents=(8,),
        diffusion_number=0.15,
    )
    return Model(spec, (layers.reshape(1, -1) / 256,), (np.zeros(1),))


def with_lines(graph: IntegerGraph, lines: Mapping[str, int]) -> IntegerGraph:
    """The graph with binary spikes on so many lines for each population that is named, and graded ones for others."""
    return graph.with_populations(*(replace(p, lines=lines.get(p.name, 0)) for p in graph.populations))


def level_shift(graph: IntegerGraph) -> int:
    """Bits that the populations between cells and levels drop of what they rectify."""
    shifts = [rectifier_shift(p.program) for p in graph.between_fields if p.name not in FLUX_DIGITS]
    assert None not in shifts
    return sum(shift or 0 for shift in shifts)
