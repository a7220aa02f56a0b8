"""Every row of the table holds on graphs of all kinds, and is seen to differ when what it tests is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from laws_compiled import compiled_law
from models_under_test import (
    compiled,
    compiled_box,
    heat_model,
    hidden_model,
    plane_model,
    seeing_box,
    space_model,
    stock_box,
)
from two_point_graphs import base

from pisnn_deploy.core.errors import CheckError
from pisnn_deploy.faults.machine import Machine
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.fields import Field
from pisnn_deploy.graph.integer import FLUX
from pisnn_deploy.graph.kinds import starting_from
from pisnn_deploy.graph.residues import sees_residues
from pisnn_deploy.graph.stencil import Stencil
from pisnn_deploy.invariance import DIFFERS, EQUAL, INAPPLICABLE, Row, invariance_rows, numbering, running
from pisnn_deploy.invariance.cores import CoreArrivals, core_rows
from pisnn_deploy.invariance.meshes import Move, moves
from pisnn_deploy.invariance.numbering import moved_relabelling, moved_rows, renumbered_rows, scaled_rows
from pisnn_deploy.invariance.reversal import oddness_problem
from pisnn_deploy.invariance.rows import Subject
from pisnn_deploy.invariance.running import backend_rows, coding_rows, domain_rows, restart_rows, thread_rows
from pisnn_deploy.programs import parse
from pisnn_deploy.programs.neurons import flux
from pisnn_deploy.runs import Run, RunOptions
from pisnn_deploy.runs.domains.worker import DomainWorker
from pisnn_deploy.runs.kernels.stepper import KernelStepper
from pisnn_deploy.runs.registry import run_graph
from pisnn_deploy.runs.run import RunState
from pisnn_deploy.runs.snapshot import read_snapshot

Rows = list[Row]
STEPS = 3
SIDES = "x=dirichlet=0.5,1 y=no-flux"


def lively(graph: IntegerGraph, seed: int = 4) -> IntegerGraph:
    """The graph with a start that has no symmetry."""
    window, cells = graph.window, graph.mesh.cells
    reach = min(window.upper // 4, (window.difference or window.upper) // 4)
    middle = (window.upper + window.lower) // 2
    level = np.random.default_rng(seed).integers(middle - reach, middle + reach, cells)
    return starting_from(graph, level // graph.sole_field.inverse_volume)


@cache
def plane() -> Subject:
    return Subject(lively(compiled_box(plane_model(), (5, 6), SIDES)), STEPS)


GRAPHS: dict[str, Callable[[], IntegerGraph]] = {
    "a line": lambda: lively(compiled(cells=48)),
    "a plane": lambda: plane().graph,
    "a hidden layer": lambda: lively(compiled(hidden_model((3,), leak=2048), 16, "no-flux", "dense")),
    "a limiter": lambda: lively(compiled(cells=16, boundary="dirichlet=1,1", limiter="positivity")),
    "residues": lambda: lively(seeing_box(shape=(16,), boundary="dirichlet=1,1")),
    "Lava's own processes": lambda: lively(stock_box(shape=(9,), boundary="no-flux")),
    "materials on triangles": lambda: lively(base("triangles")),
    "cells that differ": lambda: lively(base("alike")),
    "a system": lambda: compiled_law("wave1d", (16,)),
    "exchange of species": lambda: compiled_law("gray_scott2d", (4, 4)),
}


@pytest.mark.parametrize("kind", GRAPHS)
def test_no_transformation_changes_an_integer(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "THREADS", (1,))  # each number of threads may compile kernels of its own
    graph = GRAPHS[kind]()
    rows = list(invariance_rows(graph, STEPS, ("fast",)))
    assert [row for row in rows if row.verdict == DIFFERS] == []
    by_name = {row.transformation: row for row in rows}
    assert all(row.detail for row in rows if row.verdict == INAPPLICABLE)
    always = {"neurons drawn onto 5 cores", "restart at every PDE step on fast", "units of values times 2^12"}
    always |= {"renumbered cells, faces and neurons", "dense coding, message by message", "backend fast"}
    assert {by_name[name].verdict for name in always} == {EQUAL}
    is_late = any(graph.population(channels.population).is_late for channels in graph.channels)
    assert (by_name["delta coding, message by message"].verdict == INAPPLICABLE) == is_late
    is_odd = not is_late and not sees_residues(graph)
    assert (by_name["channels in the other direction"].verdict == EQUAL) == is_odd
    if graph.mesh.grid is None:
        assert by_name["mesh turned or mirrored"].detail == "the cells form no grid"
    elif is_odd:
        assert by_name["mesh with x reversed"].verdict == EQUAL


def verdicts(rows: Iterable[Row]) -> list[str]:
    return [row.verdict for row in rows]


def only(rows: Iterable[Row]) -> Row:
    """The first row that differs."""
    return next(row for row in rows if row.verdict == DIFFERS)


def test_an_axon_that_is_missing_is_seen() -> None:
    subject = plane()
    core = {p.name: np.arange(p.size) * 2 // p.size for p in subject.graph.populations}
    axons = {
        synapse.name: np.array(
            [[sender, 1, number] for number in (0, 1) for sender in np.flatnonzero(core[synapse.source] != number)]
        ).reshape(-1, 3)
        for synapse in subject.graph.synapses
    }
    placement = replace(placed(subject.graph), core=core, cores=2, axons=axons)
    placed_subject = Subject(replace(subject.graph, placement=placement), STEPS)
    assert verdicts(core_rows(placed_subject)) == [EQUAL, EQUAL]
    name = next(synapse.name for synapse in subject.graph.synapses if synapse.target == FLUX)
    lacking = replace(placement, axons={**axons, name: axons[name][1:]})
    row = next(core_rows(Subject(replace(subject.graph, placement=lacking), STEPS)))
    assert row.verdict == DIFFERS
    assert row.detail.startswith(
        "reference and cores of the artifact (2) with its axon tables first differ at PDE step"
    )


def placed(graph: IntegerGraph) -> Any:
    assert graph.placement is not None
    return graph.placement


def test_a_core_that_forgets_what_it_hears_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = CoreArrivals.at
    monkeypatch.setattr(CoreArrivals, "at", lambda self, *others: whole(self, *others) // 2 * 2)
    assert verdicts(core_rows(plane()))[-1] == DIFFERS


def test_domains_that_do_not_copy_halos_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = Subject(GRAPHS["a line"](), 40)
    assert verdicts(domain_rows(subject)) == [EQUAL, EQUAL]
    monkeypatch.setattr(DomainWorker, "take", lambda *_: None)
    assert set(verdicts(domain_rows(subject))) == {DIFFERS}


def test_a_snapshot_that_forgets_residues_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read_snapshot

    def forgetful(*others: Any) -> Any:
        snapshot = whole(*others)
        return replace(snapshot, state=replace(snapshot.state, residue=snapshot.state.residue * 0))

    monkeypatch.setattr(running, "read_snapshot", forgetful)
    assert ": flux " in only(restart_rows(plane(), ("fast",))).detail


def shifted(by: Callable[[Any], Any]) -> Callable[..., Run]:
    """A backend whose faces have another bias."""

    def run(backend: str, graph: IntegerGraph, mass: Any, options: RunOptions) -> Run:
        faces = graph.population(FLUX)
        biased = replace(faces, parameters={"bias": by(faces.parameters["bias"])})
        return run_graph(backend, graph.with_populations(biased), mass, options)

    return run


def test_a_kernel_that_rounds_upwards_is_seen_on_mirrored_meshes_and_reversed_channels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(numbering, "run_graph", shifted(lambda bias: bias + 1))
    assert set(verdicts(moved_rows(plane()))) == {DIFFERS}
    assert verdicts(renumbered_rows(plane())) == [DIFFERS, DIFFERS]


def test_a_kernel_that_reads_the_wrong_face_is_seen_when_faces_are_renumbered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbering, "run_graph", shifted(lambda bias: np.sort(bias)))
    assert verdicts(renumbered_rows(plane())) == [DIFFERS, DIFFERS]


def test_a_stencil_that_is_not_mirrored_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbering, "moves", lambda axes: [move for move in moves(axes) if any(move.backwards)])
    whole = Move.stencil
    monkeypatch.setattr(Move, "stencil", lambda *others: replace_values(whole(*others)))
    assert set(verdicts(moved_rows(plane()))) == {DIFFERS}


def replace_values(stencil: Any) -> Any:
    return replace(stencil, values=-stencil.values)


def test_masses_that_are_rounded_in_one_unit_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Field.masses
    monkeypatch.setattr(Field, "masses", lambda self, values: whole(self, np.asarray(np.round(values, 6), np.float64)))
    row = only(scaled_rows(plane()))
    assert row.detail.startswith("cell ") and "quanta, not " in row.detail
    monkeypatch.setattr(Field, "masses", whole)
    monkeypatch.setattr(Field, "values", lambda self, mass: np.round(self.levels(mass) * self.value_per_quantum, 6))
    assert only(scaled_rows(plane())).verdict == DIFFERS


def test_a_kernel_that_knows_units_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbering, "run_graph", shifted(lambda bias: bias + 1))
    assert verdicts(scaled_rows(plane())) == [DIFFERS, DIFFERS]


def test_accumulators_that_forget_are_seen_with_delta_coding_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machine, "_arrived", lambda self, name, port, stale: self._arriving[name, port].copy())
    assert verdicts(coding_rows(plane())) == [DIFFERS, EQUAL]


def test_a_backend_that_fires_differently_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from pisnn_deploy.runs.torch import Tensors

    def lossy(self: Tensors, potential: Any, exponent: int) -> tuple[Any, Any]:
        packet = (potential + (1 << exponent) // 2) >> exponent
        return packet, potential * 0

    monkeypatch.setattr(Tensors, "fire", lossy)
    row = only(backend_rows(plane(), ("fast", "torch")))
    assert row.transformation == "backend torch" and "flux " in row.detail


def test_threads_that_start_elsewhere_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    load = KernelStepper.__init__

    def racing(self: KernelStepper, graph: IntegerGraph, start: RunState, steps: int, threads: int) -> None:
        load(self, graph, replace(start, residue=start.residue + (threads - 1)), steps, threads)

    monkeypatch.setattr(KernelStepper, "__init__", racing)
    assert verdicts(thread_rows(plane())) == [EQUAL, DIFFERS, DIFFERS]


def test_a_run_that_leaves_its_range_has_no_table() -> None:
    graph = plane().graph
    narrow = graph.with_field(window=replace(graph.window, upper=graph.window.lower + 1))
    with pytest.raises(CheckError, match=r"^invariance: the run of 3 PDE steps stops: operating range left: "):
        list(invariance_rows(narrow, STEPS, ()))


BOXES = {
    1: (heat_model((0.1, 0.2)), (6,), "dirichlet=0.5,1"),
    2: (plane_model(), (5, 6), "x-=no-flux x+=dirichlet=1 y=periodic"),
    3: (space_model(), (6, 5, 7), "x=periodic y=no-flux z=periodic"),
}
"""A model, a mesh and its sides for each number of axes."""


@pytest.mark.parametrize("move", [*moves(1), *moves(2), *moves(3)], ids=lambda move: move.text)
def test_a_moved_grid_is_the_relabelled_one(move: Move) -> None:
    model, shape, boundary = BOXES[len(move.order)]
    graph = compiled_box(model, shape, boundary)
    relabelling, mesh = moved_relabelling(graph, move), move.mesh(graph.grid)
    moved = relabelling.relabelled(mesh)
    (channels,) = moved.channels
    assert np.array_equal(channels.source, mesh.source) and np.array_equal(channels.target, mesh.target)
    for synapse, other in zip(graph.synapses, moved.synapses, strict=True):
        if synapse.target == FLUX:
            assert isinstance(synapse.connections, Stencil)
            stencil = move.stencil(synapse.connections, mesh)
            assert stencil is not None and not (stencil.rows - other.connections.rows).without_zeros().entries
            assert stencil.misfit(mesh, 64) == ""


def test_which_programs_are_odd() -> None:
    assert oddness_problem(flux(7)) == "" and oddness_problem(flux(7, 1024)) == ""
    seeing = oddness_problem(flux(7, sees_residues=True))
    assert seeing.startswith("the program flux is not odd: ") and "low " in seeing
    floor = parse("neuron f(arrival; r; )\np = asr(arrival, 3)\nkeep r = p\nsend p")
    assert oddness_problem(floor).startswith("the program f is not odd: state r does not change its sign with arrival")
