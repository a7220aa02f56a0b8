"""A mesh that is turned or mirrored is solved as its image, bit for bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn_boundaries import Turn, cases, drawn_boundary, drawn_turn
from models_under_test import deep_model, zoo_model
from numpy.typing import NDArray

from pisnn_deploy.compiler import CompileOptions, GraphOptions, Lower, compile_model
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.graph.layout import window_bias, window_matrix
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.mesh import Boundary, structured_mesh, window_cells
from pisnn_deploy.physics.model import Model, OperatingRange
from pisnn_deploy.physics.problems import problem
from pisnn_deploy.target import load_profile
from pisnn_deploy.verify import check_certificate
from pisnn_deploy.verify.folding import Folding

STEPS = 8
RANGE = OperatingRange(lower=-3.0, upper=3.0)


def compiled_for(model: Model, shape: tuple[int, ...], boundary: Boundary) -> IntegerGraph:
    options = CompileOptions(
        Lower(shape, boundary), load_profile("loihi2"), GraphOptions(placement="none"), operating_range=RANGE
    )
    return compile_model(model, options)


def masses(graph: IntegerGraph, start: NDArray[np.int64]) -> NDArray[np.int64]:
    """Masses of the cells after 0 to `STEPS` steps."""
    semantics = Semantics(graph)
    states = [semantics.start(start.reshape(-1))]
    for step in range(STEPS):
        states.append(semantics.step(states[-1], step))
    return np.stack([state.mass[: graph.mesh.cells].reshape(start.shape) for state in states])


@pytest.mark.parametrize(
    ("name", "shapes"), [("heat1d", (2, 3, 12)), ("heat2d", (2, 3, 9)), ("laplace2d", (20,)), ("heat3d", (1, 2, 4))]
)
def test_turned_meshes_have_turned_masses(name: str, shapes: tuple[int, ...]) -> None:
    model = deep_model() if name == "heat3d" else zoo_model(name)
    dimensions = len(model.spec.lengths)
    for rng in cases(3):
        shape = (int(rng.choice(shapes)),) * dimensions
        boundary = drawn_boundary(rng, shape)
        if name == "laplace2d":  # whose short waves grow elsewhere
            boundary = replace(boundary, sides=(("dirichlet", "dirichlet"),) * 2)
            held = tuple((lower or (0.5,), upper or (0.25,)) for lower, upper in boundary.values)
            boundary = replace(boundary, values=held)
        plain = compiled_for(model, shape, boundary)
        start = rng.integers(-(2**12), 2**12, shape)
        expected = masses(plain, start)
        assert all(finding.holds for finding in check_certificate(plain)), check_certificate(plain)
        for _ in range(2):
            turn = drawn_turn(rng, dimensions)
            turned = compiled_for(model, shape, turn.boundary(boundary, shape))
            assert (turned.quantum, turned.time_step, known_face(turned).exponent) == (
                plain.quantum,
                plain.time_step,
                known_face(plain).exponent,
            )
            found = masses(turned, turn.field(start))
            assert all(np.array_equal(turn.field(a), b) for a, b in zip(expected, found, strict=True))


def test_the_hot_side_of_laplace_may_be_any() -> None:
    model = zoo_model("laplace2d")
    own = problem("laplace2d").default_boundary((20, 20))
    plain = compiled_for(model, (20, 20), own)
    for axes in ((0, 1), (1, 0)):
        for mirrored in ((True, False), (False, True)):
            turn = Turn(axes, mirrored)
            turned = compiled_for(model, (20, 20), turn.boundary(own, (20, 20)))
            assert turned.quantisation == plain.quantisation and turned.quantisation.relative_l2_integer is not None
            start = turn.field(plain.initial.reshape(20, 20)).reshape(-1)
            assert np.array_equal(turned.initial, start)


def test_ghost_cells_beyond_corners_are_exact_for_linear_fields() -> None:
    shape, lengths = (4, 3, 5), (4.0, 3.0, 5.0)
    mesh = structured_mesh(shape, lengths, (("dirichlet", "dirichlet"),) * 3)

    def field(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(points @ np.array([2.0, -3.0, 5.0]) + 7.0)

    centres = np.stack(np.meshgrid(*(np.arange(n) + 0.5 for n in shape), indexing="ij"), axis=-1).reshape(-1, 3)
    held = np.zeros(mesh.reservoirs)
    for ends, others, end in ((mesh.target, mesh.source, 1.0), (mesh.source, mesh.target, -1.0)):
        beside = ends >= mesh.cells
        points = centres[others[beside]].copy()
        points[np.arange(len(points)), mesh.axis[beside]] += end / 2
        held[ends[beside] - mesh.cells] = field(points)
    values = window_cells(mesh, 2, 2, held).values(field(centres)).reshape(mesh.faces, 4, 5, 5)
    steps = {0: (2.0, -3.0, 5.0), 1: (-3.0, 2.0, 5.0), 2: (5.0, 2.0, -3.0)}
    for axis in range(3):
        for dimension, slope in enumerate(steps[axis], 1):
            assert np.abs(np.diff(values[mesh.axis == axis], axis=dimension) - slope).max() < 1e-11


def test_a_corner_between_two_values_lies_halfway() -> None:
    mesh = structured_mesh((4, 4), (1.0, 1.0), (("dirichlet", "no-flux"),) * 2)
    held = np.repeat([1.0, 0.0], 4)
    seen = window_cells(mesh, 1, 1, held).values(np.full(16, 0.25))
    # The face at the wall x-, beside the corner: ghost cells, then cells; the first of each is beyond the wall y-.
    assert seen[0].tolist() == [0.25, 1.75, 1.75, -0.25, 0.25, 0.25]


def test_the_checker_folds_rows_by_itself() -> None:
    """Both lay out random weights alike, also where windows reach beyond several walls of a small mesh."""
    rng = np.random.default_rng(3)
    for shape, model in (((2, 3), zoo_model("heat2d")), ((2, 1, 3), deep_model()), ((5, 4), zoo_model("heat2d"))):
        lengths = tuple(float(n) for n in shape)
        spec = model.spec.model_copy(update={"lengths": lengths})
        boundary = drawn_boundary(rng, shape)
        graph = compiled_for(replace(model, spec=spec), shape, boundary)
        held = rng.integers(-100, 100, graph.mesh.reservoirs)
        graph = graph.with_field(reservoirs=held)
        weights = rng.integers(-9, 9, spec.layer_shapes[0][1])
        window = window_cells(graph.grid, spec.half_width, spec.transverse, held)
        matrix = window_matrix(weights[None, :], window, graph.mesh.holders).toarray()
        bias = window_bias(weights[None, :], np.zeros(1, np.int64), window)
        folding = Folding(graph)
        for face in range(graph.mesh.faces):
            cells, constant = folding.row(face, weights.tolist())
            assert constant == bias[face]
            assert cells == {int(c): int(matrix[face, c]) for c in np.flatnonzero(matrix[face])}
