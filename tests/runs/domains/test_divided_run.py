"""A graph that is divided into domains has the integers, the counts and the violations of the undivided one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import laws_compiled
import numpy as np
import pytest
import two_point_graphs
from drawn_laws import drawn_law
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
from reference_runs import reference_run

from pisnn_deploy.core.errors import CheckError, UsageError
from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.kinds import starting_from
from pisnn_deploy.runs import RunOptions, fast
from pisnn_deploy.runs.domains import boxes, explanation, partition
from pisnn_deploy.runs.domains.partition import divided
from pisnn_deploy.runs.domains.stepper import stepper_here
from pisnn_deploy.runs.domains.worker import DomainWorker
from pisnn_deploy.runs.kernels import stepper
from pisnn_deploy.runs.kernels.draft import mass_of
from pisnn_deploy.runs.kernels.kernel import Kernel
from pisnn_deploy.runs.kernels.network import FLAGS
from pisnn_deploy.runs.run import Run, start_of
from pisnn_deploy.runs.stepping import stepped_run

GRIDS: dict[str, Callable[[], IntegerGraph]] = {
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
OTHERS: dict[str, Callable[[], IntegerGraph]] = {
    "materials": lambda: two_point_graphs.base("plane"),
    "triangles": lambda: two_point_graphs.base("several"),
    "digits": lambda: two_point_graphs.base("digits"),
    "several fields": lambda: laws_compiled.compiled_law("gray_scott2d", (8, 9)),
    "products": lambda: laws_compiled.compiled_law("shallow_water1d", (30,), "dense"),
    "sides that depend on time": lambda: drawn_law(6, "dense", over_time=True),
}


def at_a_lively_start(graph: IntegerGraph) -> IntegerGraph:
    """Masses that make hidden neurons of a ring fire, too."""
    if not graph.between_fields or graph.mesh.reservoirs or not graph.operator:
        return graph
    low, high = graph.window.lower // 4, graph.window.upper // 4
    return starting_from(graph, np.random.default_rng(2).integers(low, high, graph.mesh.cells, dtype=np.int64))


def in_domains(graph: IntegerGraph, count: int, rounds: int | None, options: RunOptions) -> Run:
    start = start_of(graph, graph.initial)
    with closing(stepper_here(graph, start, options.steps, count, rounds)) as stepper:
        return stepped_run("fast", graph, stepper, options)


def assert_equal(found: Run, whole: Run) -> None:
    for part in ("step", "mass", "ledger", "transported", "in_flight"):
        assert np.array_equal(getattr(found.trace, part), getattr(whole.trace, part)), part
    for name in ("failure", "violations", "steps", "time_steps", "packets_sent", "quanta_sent", "events"):
        assert getattr(found, name) == getattr(whole, name), name
    assert found.end is not None and whole.end is not None
    for part in ("current", "residue"):
        assert np.array_equal(getattr(found.end, part), getattr(whole.end, part)), part


@pytest.mark.parametrize("name", [*GRIDS, *OTHERS])
def test_every_kept_integer_and_count_is_that_of_the_undivided_run(name: str) -> None:
    graph = at_a_lively_start((GRIDS | OTHERS)[name]())
    options = RunOptions(13, every=5)
    whole = fast.run(graph, graph.initial, options)
    assert whole.conserved and whole.packets_sent > 0
    for count, rounds in [(2, 1), (3, 2)]:
        assert_equal(in_domains(graph, count, rounds, options), whole)


@pytest.fixture
def swept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small domains run several PDE steps in a sweep, too."""
    monkeypatch.setattr(stepper, "LARGE", 0)
    monkeypatch.setattr(stepper, "MOST_UNEVEN", 1e9)


@pytest.mark.usefixtures("swept")
@pytest.mark.parametrize(
    "graph_of",
    [
        lambda: compiled(heat_model(leak=1024), cells=128),
        lambda: compiled(hidden_model((3,)), cells=128, boundary="no-flux"),
        lambda: compiled_box(plane_model(), (64, 24), "x=periodic y=dirichlet=1,0.5"),
        OTHERS["materials"],
    ],
    ids=["ring", "hidden layer", "plane", "materials"],
)
def test_domains_that_sweep_count_only_what_they_own(graph_of: Callable[[], IntegerGraph]) -> None:
    graph = at_a_lively_start(graph_of())
    options = RunOptions(19, every=9)
    whole = reference_run(graph, graph.initial, options)
    with pytest.MonkeyPatch.context() as patch:
        ran = noted_sweeps(patch)
        assert_equal(in_domains(graph, 2, 4, options), whole)
    assert sum(ran) > 0


def noted_sweeps(patch: pytest.MonkeyPatch) -> list[bool]:
    ran: list[bool] = []
    run = Kernel.run

    def noted(kernel: Kernel, steps: int, *, ends: bool) -> int:
        done = run(kernel, steps, ends=ends)
        ran.append(kernel.is_swept)
        return done

    patch.setattr(Kernel, "run", noted)
    return ran


@pytest.mark.long
@pytest.mark.parametrize("name", [*GRIDS, *OTHERS])
@pytest.mark.parametrize(("count", "rounds"), [(1, 1), (3, 1), (4, 1), (4, 2)])
def test_more_domains_have_the_integers_of_the_undivided_run(name: str, count: int, rounds: int) -> None:
    graph = at_a_lively_start((GRIDS | OTHERS)[name]())
    options = RunOptions(23, every=5)
    assert_equal(in_domains(graph, count, rounds, options), fast.run(graph, graph.initial, options))


@pytest.mark.parametrize("name", ["wall and reservoir, leaky", "hidden layers", "ring that sees residues, leaky"])
def test_grids_have_the_same_integers_in_domains_found_along_the_synapses(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partition, "_boxes", partition._listed)
    graph = at_a_lively_start(GRIDS[name]())
    options = RunOptions(13, every=5)
    assert_equal(in_domains(graph, 3, 1, options), fast.run(graph, graph.initial, options))


def test_a_halo_that_is_too_thin_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, options = compiled(cells=64, boundary="no-flux"), RunOptions(24, every=8)
    whole = fast.run(graph, graph.initial, options)
    monkeypatch.setattr(boxes, "reach", lambda graph: 1)
    found = in_domains(graph, 2, 8, options)
    assert not np.array_equal(found.trace.mass, whole.trace.mass) or found.failure


@pytest.mark.parametrize("name", ["plane, reservoirs all around", "triangles", "several fields"])
def test_each_holder_channel_and_neuron_has_one_owner(name: str) -> None:
    graph = (GRIDS | OTHERS)[name]()
    columns, division = columns_of(graph), divided(graph, 3, 1)
    for count, owned in (
        (columns.holders, [each.holders[each.owns_holder] for each in division.layouts]),
        (columns.size, [each.channels[each.owns_channel] for each in division.layouts]),
    ):
        assert np.array_equal(np.sort(np.concatenate(owned)), np.arange(count))
    domains = [division.domain(number) for number in range(3)]
    for population in graph.populations:
        numbers = [each.numbers[population.name][each.owns[population.name]] for each in domains]
        assert np.array_equal(np.sort(np.concatenate(numbers)), np.arange(population.size)), population.name


@pytest.mark.parametrize(
    ("shape", "count", "blocks"),
    [
        ((64,), 4, (4,)),
        ((64, 64), 2, (2, 1)),
        ((64, 64), 4, (4, 1)),
        ((64, 64), 6, (3, 2)),
        ((9, 64, 64), 8, (1, 4, 2)),
    ],
)
def test_blocks_have_few_faces_between_them(shape: tuple[int, ...], count: int, blocks: tuple[int, ...]) -> None:
    assert boxes.blocks_of(shape, count) == blocks


@pytest.mark.parametrize(
    ("count", "rounds", "message"),
    [
        (2, 9, "2 ranks: parts of 64 cells along an axis are too small for halos of 37 cells; use fewer ranks"),
        (65, 1, "65 ranks: a mesh of 64 cells is too small; use fewer ranks"),
    ],
)
def test_too_few_cells_are_refused(count: int, rounds: int, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        divided(compiled(cells=64), count, rounds)
    assert str(caught.value) == message


def narrowed(kind: str) -> IntegerGraph:
    """A graph that leaves its limits."""
    graph = compiled(heat_model(leak=1024), 50, "x-=no-flux x+=dirichlet=1")
    if kind == "mass":
        low = (3 * graph.window.lower + graph.window.upper) // 4  # from where it fills from the reservoir
        graph = starting_from(graph, np.full_like(graph.initial, low)).with_field(
            window=replace(graph.window, difference=None, current=None)
        )
    window, whole = graph.window, fast.run(graph, graph.initial, RunOptions(20, everything=True)).trace
    assert whole.flux is not None
    if kind == "mass":
        window = replace(window, upper=int(whole.mass[:9].max()))
    elif kind == "difference":
        window = replace(window, difference=int(np.abs(np.diff(whole.mass[:9], axis=1)).max()))
    elif kind == "current":
        window = replace(window, current=int(np.abs(whole.flux[:2, 1]).max()))
    else:
        narrow = replace(next(bound for bound in graph.bounds if bound.quantity == "packet"), bits=3)
        graph = replace(graph, bounds=tuple(narrow if bound.quantity == "packet" else bound for bound in graph.bounds))
    return graph.with_field(window=window)


@pytest.mark.usefixtures("swept")
@pytest.mark.parametrize("kind", ["mass", "bits"])
def test_a_violation_within_a_sweep_is_that_of_the_undivided_run(kind: str) -> None:
    graph = narrowed(kind)
    undivided = reference_run(graph, graph.initial, RunOptions(20))
    divided_run = in_domains(graph, 2, 4, RunOptions(20))
    assert undivided.failure and divided_run.failure == undivided.failure and divided_run.steps == undivided.steps


@pytest.mark.parametrize("kind", ["mass", "difference", "current", "bits"])
def test_a_violation_is_that_of_the_undivided_run(kind: str) -> None:
    graph = narrowed(kind)
    undivided = fast.run(graph, graph.initial, RunOptions(20))
    found = in_domains(graph, 2, 1, RunOptions(20))
    assert undivided.failure and found.failure == undivided.failure and found.steps == undivided.steps
    # Domains stop at the first wrong value and do not count others.
    assert [kind for kind, count in found.violations.items() if count] == [
        kind for kind, count in undivided.violations.items() if count
    ]


def test_wrong_copies_raise_no_alarm() -> None:
    """The outermost cell of a halo misses the packets from beyond, and so leaves the operating range."""
    graph = compiled(heat_model(leak=1024), 64)
    difference = int(np.abs(np.diff(fast.run(graph, graph.initial, RunOptions(13)).trace.mass, axis=1)).max())
    graph = graph.with_field(window=replace(graph.window, difference=difference))
    flagged: list[int] = []
    careful = DomainWorker.careful

    def counted(worker: DomainWorker) -> Any:
        finding, is_flagged = careful(worker)
        flagged.append(int(is_flagged and finding is None))
        return finding, is_flagged

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DomainWorker, "careful", counted)
        patch.setattr(partition, "_boxes", partition._listed)
        found = in_domains(graph, 3, 1, RunOptions(13, every=5))
    assert sum(flagged) > 0
    assert_equal(found, fast.run(graph, graph.initial, RunOptions(13, every=5)))


@pytest.mark.parametrize("kind", ["mass", "current", "bits"])
def test_owned_values_beyond_their_limits_are_seen_beside_wrong_copies(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reference of a domain stops at a copy, so what the domain owns is compared by itself."""
    graph = narrowed(kind)
    undivided = fast.run(graph, graph.initial, RunOptions(20))
    monkeypatch.setattr(explanation, "_in_the_whole", once_blind(explanation._in_the_whole))
    assert undivided.failure and in_domains(graph, 2, 1, RunOptions(20)).failure == undivided.failure


def once_blind(whole: Callable[..., Any]) -> Callable[..., Any]:
    """Takes every second violation, from the first on, for one of a copy."""
    seen: list[int] = []

    def partly(*others: Any) -> Any:
        seen.append(1)
        return None if len(seen) % 2 else whole(*others)

    return partly


def test_a_state_that_changes_between_steps_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, advance = compiled(cells=64, boundary="no-flux"), DomainWorker.advance

    def broken(worker: DomainWorker, steps: int) -> None:
        if worker.step == 4 and worker.flagged is None and not broken_before:
            broken_before.append(1)
            kernel = worker._kernels.kernel
            kernel.now(mass_of("membrane"))[9] += 1
        advance(worker, steps)

    broken_before: list[int] = []
    monkeypatch.setattr(DomainWorker, "advance", broken)
    with pytest.raises(CheckError, match=r"repeating PDE step 4 gave different integers \(audit: global\)"):
        in_domains(graph, 2, 1, RunOptions(9))


def test_a_kernel_that_differs_from_the_reference_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = compiled(cells=64, boundary="no-flux")

    def wrong(worker: DomainWorker, steps: int) -> bool:
        fine = bool(worker._some(steps))  # type: ignore[attr-defined]
        if worker._step == 5:  # type: ignore[attr-defined]
            worker.kernel.now(mass_of("membrane"))[12] += 1  # type: ignore[attr-defined]
            worker.kernel.counters[FLAGS] = 2  # type: ignore[attr-defined]
            return False
        return fine

    monkeypatch.setattr("pisnn_deploy.runs.domains.worker._Kernels.run", wrong)
    with pytest.raises(CheckError, match=r"backend fast: mass is -?\d+ after PDE step 4, but -?\d+ in the reference"):
        in_domains(graph, 2, 1, RunOptions(9))


def test_lost_mass_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, totals = compiled(cells=64, boundary="no-flux"), DomainWorker.totals
    monkeypatch.setattr(DomainWorker, "totals", lambda worker: totals(worker) - (worker.step > 3))
    found = in_domains(graph, 2, 1, RunOptions(9))
    assert found.failure.startswith("global invariant broken: mass of all cells and ledgers at PDE step ")
    assert found.violations["global"] == 1


def test_a_run_goes_on_from_a_state_in_another_number_of_domains() -> None:
    graph = compiled(heat_model(leak=1024), cells=64)
    half = in_domains(graph, 2, None, RunOptions(20, until=9))
    assert half.end is not None
    with closing(stepper_here(graph, half.end, 20, 3)) as stepper:
        rest = stepped_run("fast", graph, stepper, RunOptions(20, start=half.end))
    whole = fast.run(graph, graph.initial, RunOptions(20))
    assert np.array_equal(rest.trace.mass[-1], whole.trace.mass[-1])
    assert (rest.events, rest.packets_sent, rest.quanta_sent) == (whole.events, whole.packets_sent, whole.quanta_sent)
