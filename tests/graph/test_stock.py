"""The meaning of stock graphs, and what Lava's processes are given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from models_under_test import compiled, heat_model, plane_model, stock_box

from pisnn_deploy.core.errors import OverflowViolation
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import artifact_bytes
from pisnn_deploy.graph.document import document, graph_from_document
from pisnn_deploy.graph.kinds import known_face, with_faces
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.graph.stock import stock_network
from pisnn_deploy.graph.wellformed import defects

Plain = list[int]


def rough(graph: IntegerGraph, seed: int = 1) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    high = graph.window.upper
    return np.random.default_rng(seed).integers(0, high, graph.mesh.cells, dtype=np.int64)


def by_hand(kernel: Plain, shift: int, threshold: int, mass: Plain, steps: int) -> tuple[Plain, Plain, Plain, Plain]:
    """A ring in Python's own integers: masses, residues, and the sums of packets and of drives."""
    cells, half = len(mass), len(kernel) // 2
    residue, sent, driven = [0] * cells, [0] * cells, [0] * cells
    seen = mass
    for _ in range(steps):
        drives = []
        for face in range(cells):
            total = sum(w * seen[(face + 1 - half + at) % cells] for at, w in enumerate(kernel))
            drives.append((total + 2 ** (shift - 1)) // 2**shift)
        seen, mass = mass, list(mass)
        for face, drive in enumerate(drives):
            potential = residue[face] + drive
            packet = potential if abs(potential) >= threshold else 0
            residue[face], sent[face], driven[face] = potential - packet, sent[face] + packet, driven[face] + drive
            mass[face] -= packet
            mass[(face + 1) % cells] += packet
    return mass, residue, sent, driven


@pytest.mark.parametrize("threshold", [1, 5000])
def test_the_reference_is_the_recurrence(threshold: int) -> None:
    graph = stock_box(shape=(12,), send_threshold=threshold)
    graph = replace(graph, bounds=())  # rough fields leave the slope that they rest on
    start, semantics = rough(graph), Semantics(graph)
    kernel, shift = list(graph.quantisation.kernel_chosen), known_face(graph).exponent
    mass, residue, sent, driven = by_hand(kernel, shift, threshold, start.tolist(), 30)
    state, transported = semantics.start(start), np.zeros(12, np.int64)
    for step in range(30):
        state = semantics.step(state, step)
        transported += state.packets
    assert state.mass.tolist() == mass == semantics.masses_after(start, 30).tolist()
    assert state.residue.tolist() == residue and transported.tolist() == sent
    assert [k + r for k, r in zip(sent, residue, strict=True)] == driven
    assert sum(mass) == int(start.sum()) and max(map(abs, residue)) < threshold


@pytest.mark.parametrize("boundary", ["periodic", "x=periodic y=no-flux"])
def test_the_processes_get_the_same_drive(boundary: str) -> None:
    graph = stock_box(plane_model(), (5, 6), boundary)
    start = rough(graph) - graph.window.upper // 2
    network = stock_network(graph, start)
    assert np.array_equal(network.mass[:-1], start)
    drive = (network.weights @ network.mass) >> -network.weight_exponent
    assert np.array_equal(drive, Semantics(graph).start(start).kept_current)
    packets = np.arange(graph.mesh.faces) - 7
    moved = (network.route @ packets) >> -network.route_exponent
    assert np.array_equal(moved, np.append(graph.mesh.divergence(packets), 0))
    assert not network.route.lengths[-1] and not (network.weights.values % 2).any()


def test_a_width_that_does_not_hold_stops_the_reference() -> None:
    graph = stock_box()
    bounds = tuple(replace(b, bits=4) if b.quantity == "packet" else b for b in graph.bounds)
    semantics = Semantics(replace(graph, bounds=bounds))
    with pytest.raises(OverflowViolation) as caught:
        semantics.masses_after(graph.initial, 1)
    assert str(caught.value).startswith("overflow: flux packet [0] is ")
    assert str(caught.value).endswith(" at PDE step 0, outside its 4 signed bits")


def test_the_artifact_keeps_their_program() -> None:
    graph = stock_box(send_threshold=3)
    described, certificate, arrays = document(graph)
    assert "is_sent = ge(size, 3)" in described["populations"][-1]["program"]
    again = graph_from_document(described, certificate, arrays)
    assert known_face(again).send_threshold == 3 and artifact_bytes(again, {}) == artifact_bytes(graph, {})


def test_what_stock_processes_cannot_be_is_no_graph() -> None:
    graph = stock_box()
    drive, route = graph.synapses
    for broken, sentence in (
        (replace(graph, period=2), "period is 2, 2 populations need 1"),
        (replace(graph, coding="delta"), "flux is one step late, but spikes carry changes"),
        (
            replace(graph, synapses=(drive, replace(drive, name="second"), route), placement=None),
            "flux is one step late: it needs one synapse of exponent -1 in each direction",
        ),
    ):
        assert defects(broken) == [sentence]
    reservoirs = compiled(heat_model(), 9, "dirichlet=0,1", "dense")
    assert "flux is one step late, but the graph has a reservoir or binary spikes" in defects(
        replace(with_faces(reservoirs, send_threshold=1), period=1)
    )
