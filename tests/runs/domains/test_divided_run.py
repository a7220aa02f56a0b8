"""A field that is cut into domains has the integers of the undivided one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from models_under_test import (
    compiled,
    compiled_box,
    heat_model,
    hidden_model,
    laplace_model,
    plane_model,
    seeing_box,
    space_model,
)

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.kinds import starting_from
from pisnn_deploy.runs import RunOptions, fast
from pisnn_deploy.runs.domains import cut as cutting
from pisnn_deploy.runs.domains.cut import cut, reach
from pisnn_deploy.runs.domains.local import LocalWorkers
from pisnn_deploy.runs.domains.run import divided_run
from pisnn_deploy.runs.domains.worker import Report

GRAPHS: dict[str, Callable[[], IntegerGraph]] = {
    "ring": lambda: compiled(cells=61),
    "ring, leaky": lambda: compiled(heat_model(leak=1024), cells=64),
    "walls": lambda: compiled(cells=67, boundary="no-flux"),
    "reservoirs": lambda: compiled(cells=64, boundary="dirichlet=0.5,1.5"),
    "wall and reservoir, leaky": lambda: compiled(heat_model(leak=1024), 50, "x-=dirichlet=1 x+=no-flux"),
    "hidden layers": lambda: compiled(hidden_model((3, 2)), cells=41, boundary="no-flux"),
    "hidden layer, reservoirs": lambda: compiled(hidden_model((3,)), cells=40, boundary="dirichlet=-1,1"),
    "plane, transverse": lambda: compiled_box(plane_model(), (40, 48), "x=periodic y=dirichlet=1,0.5"),
    "plane, reservoirs all around": lambda: compiled_box(laplace_model(), (20, 20), "x=dirichlet=0,1 y=dirichlet=0,0"),
    "space": lambda: compiled_box(space_model(), (24, 20, 28), "x=no-flux y=periodic z=dirichlet=0.5,1"),
    "ring that sees residues, leaky": lambda: seeing_box(heat_model(leak=900), (61,)),
    "plane that sees residues": lambda: seeing_box(plane_model(), (20, 24), "x=no-flux y=dirichlet=1,0.5", "dense"),
}


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize(("parts", "rounds"), [(2, 1), (3, 1), (3, 2)])
def test_every_kept_integer_is_that_of_the_undivided_run(name: str, parts: int, rounds: int) -> None:
    graph = GRAPHS[name]()
    if graph.between_fields and not graph.mesh.reservoirs:
        window = graph.window
        mass = np.random.default_rng(2).integers(window.lower // 4, window.upper // 4, graph.mesh.cells, dtype=np.int64)
        graph = starting_from(graph, mass)
    mass, options = graph.initial, RunOptions(23, every=5)
    whole = fast.run(graph, mass, options)
    assert whole.conserved and whole.packets_sent > 0
    domains = cut(graph, parts, rounds)
    found = divided_run(graph, domains, LocalWorkers(domains, 23, reach(graph) * rounds), rounds, options)
    assert found.conserved, found.failure
    for part in ("step", "mass", "ledger", "transported", "in_flight"):
        assert np.array_equal(getattr(found.trace, part), getattr(whole.trace, part)), part
    assert (found.steps, found.time_steps) == (whole.steps, whole.time_steps)


def test_a_halo_that_is_too_thin_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = compiled(cells=64, boundary="no-flux")
    options = RunOptions(24, every=8)
    whole = fast.run(graph, graph.initial, options)
    monkeypatch.setattr(cutting, "reach", lambda graph: 1)
    domains = cut(graph, 2, 8)
    found = divided_run(graph, domains, LocalWorkers(domains, 24, 8), 8, options)
    assert not np.array_equal(found.trace.mass, whole.trace.mass) or found.failure


def test_each_cell_reservoir_and_face_has_one_owner() -> None:
    graph = compiled_box(laplace_model(), (20, 20), "x=dirichlet=0,1 y=dirichlet=0,0")
    domains = cut(graph, 3, 1)
    for count, owned in (
        (graph.mesh.cells, [d.cells[d.owned_cells] for d in domains]),
        (graph.mesh.reservoirs, [d.reservoirs[d.owns_reservoir] for d in domains]),
        (graph.mesh.faces, [d.faces[d.owns_face] for d in domains]),
    ):
        assert np.array_equal(np.sort(np.concatenate(owned)), np.arange(count))


@pytest.mark.parametrize(("parts", "rounds"), [(1, 1), (40, 1), (2, 9)])
def test_too_few_rows_are_refused(parts: int, rounds: int) -> None:
    with pytest.raises(UsageError, match="are smaller than their halos of"):
        cut(compiled(cells=64), parts, rounds)


@pytest.mark.parametrize("kind", ["mass", "difference", "current"])
def test_leaving_the_operating_range_is_seen_with_the_numbers_of_the_whole(kind: str) -> None:
    graph = compiled(heat_model(leak=1024), 50, "x-=no-flux x+=dirichlet=1")
    window, whole = graph.window, fast.run(graph, graph.initial, RunOptions(20, everything=True)).trace
    assert whole.flux is not None
    if kind == "mass":
        narrow = replace(window, upper=int(whole.mass[:9].max()))
    elif kind == "difference":
        narrow = replace(window, difference=int(np.abs(np.diff(whole.mass[:9], axis=1)).max()))
    else:
        narrow = replace(window, current=int(np.abs(whole.flux[:9, 1]).max()))
    graph = graph.with_field(window=narrow)
    undivided = fast.run(graph, graph.initial, RunOptions(20))
    domains = cut(graph, 2, 1)
    found = divided_run(graph, domains, LocalWorkers(domains, 20, reach(graph)), 1, RunOptions(20))
    assert found.failure == undivided.failure and found.violations["range"] == (1 if undivided.failure else 0)


def test_lost_mass_is_seen() -> None:
    graph = compiled(cells=64, boundary="no-flux")
    domains = cut(graph, 2, 1)
    workers = LocalWorkers(domains, 9, reach(graph))
    steal = workers._workers[1]
    report = steal.report

    def robbed() -> Report:
        whole = report()
        return replace(whole, mass=whole.mass - (np.arange(whole.mass.size) == 3)) if whole.packets.any() else whole

    steal.report = robbed  # type: ignore[method-assign]
    found = divided_run(graph, domains, workers, 1, RunOptions(9))
    assert found.failure.startswith("global invariant broken: mass of all cells and ledgers at PDE step 1: expected ")
    assert found.violations["global"] == 1
