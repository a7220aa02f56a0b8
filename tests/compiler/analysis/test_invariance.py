"""Rounding moves a field that obeys a maximum principle by no more quanta than the compiler says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from models_under_test import compiled, compiled_box, heat_model, plane_model
from numpy.typing import NDArray

from pisnn_deploy.compiler.analysis.invariance import lattice_kernel, lattice_shape, rounding_drift
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import FLUX, MEMBRANE
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.physics.model import OperatingRange


def kernel_of(graph: IntegerGraph) -> NDArray[np.int64]:
    spec = graph.model_spec
    return lattice_kernel(spec.kernels(graph.operator[0].weight), spec.positions, lattice_shape(graph.grid))


@pytest.mark.parametrize("shape", [(5, 6), (10, 12)])
def test_the_lattice_kernel_is_the_update_of_a_cell(shape: tuple[int, ...]) -> None:
    graph = compiled_box(plane_model(), shape, "periodic")
    update = (graph.matrix(FLUX, MEMBRANE) @ graph.matrix(MEMBRANE, FLUX)).toarray()
    assert np.array_equal(update[0].reshape(shape), kernel_of(graph))


def test_walls_double_the_lattice_and_quadruple_it_between_unlike_ones() -> None:
    graph = compiled_box(plane_model(), (5, 6), "x=no-flux y-=no-flux y+=dirichlet=1")
    assert lattice_shape(graph.grid) == (10, 24)


def test_the_bound_is_the_sum_over_all_steps_and_little_more() -> None:
    graph = compiled(heat_model(), 24)
    theta, cells = 1 << known_face(graph).exponent, 24
    update = (graph.matrix(FLUX, MEMBRANE) @ graph.matrix(MEMBRANE, FLUX)).toarray() / theta
    step, route = np.eye(cells) + update, graph.matrix(FLUX, MEMBRANE).toarray()
    total, power = 2.0, np.eye(cells)
    for _ in range(4000):
        total += np.abs(power @ update @ route).sum(axis=1).max()
        power = power @ step
    drift = rounding_drift(kernel_of(graph), theta)
    assert drift is not None and total / 2 <= drift <= total + 2


def test_a_kernel_with_negative_weights_has_no_bound() -> None:
    assert rounding_drift(np.array([-130, 65, 0, 65]), 128) is None
    assert rounding_drift(np.array([-100, 50, 0, 49]), 128) is None
    assert rounding_drift(np.array([-100, 50, 0, 50]), 128) is not None


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=4),
    st.integers(4, 20),
    st.sampled_from(["periodic", "no-flux", "dirichlet=0.5,1.5", "x-=no-flux x+=dirichlet=1"]),
    st.integers(0, 2**31),
)
@settings(deadline=None, max_examples=40)
def test_no_run_drifts_further_from_exact_averages_than_the_bound(
    half: list[int], cells: int, side: str, seed: int
) -> None:
    weights = tuple(w / 128 for w in np.cumsum(sorted(half)))
    assume(weights[-1] <= 0.5)
    graph = compiled(heat_model(weights, operating_range=OperatingRange(lower=0.0, upper=2.0)), cells, side)
    assert graph.certificate is not None
    claim = graph.certificate.overflow
    assume(claim.method == "invariant-range")
    theta = 1 << known_face(graph).exponent
    route = graph.matrix(FLUX, MEMBRANE).first_rows(cells)
    update, given_flux = (
        (route @ graph.matrix(MEMBRANE, FLUX)).toarray()[:, :cells] / theta,
        route @ graph.sole_channels.parameters["bias"],
    )
    random = np.random.default_rng(seed)
    start = random.integers(int(claim.figures["start_lower"]), int(claim.figures["start_upper"]) + 1, cells)
    semantics = Semantics(graph)
    state, exact = semantics.start(start), start.astype(np.float64)
    for step in range(400):
        state, exact = semantics.step(state, step), exact + update @ exact + given_flux / theta
        assert np.abs(state.mass[:cells] - exact).max() <= claim.figures["drift"] + 1e-6
        assert graph.window.lower <= state.mass[:cells].min() and state.mass[:cells].max() <= graph.window.upper
