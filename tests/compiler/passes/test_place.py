"""Placing cells on cores and cores on chips."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from checked_graphs import with_figure
from hypothesis import given, settings
from hypothesis import strategies as st
from models_under_test import compiled, compiled_box, hidden_model, laplace_model, plane_model
from numpy.typing import NDArray
from spelled_out import rows_of

from pisnn_deploy.compiler.options import PlacementMethod
from pisnn_deploy.compiler.passes.homes import home_cells
from pisnn_deploy.compiler.passes.partition import (
    block_shapes,
    chips_by_traffic,
    chips_of_blocks,
    cut_evenly,
    cut_surface,
    metis_parts,
)
from pisnn_deploy.compiler.passes.place import Place
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.graph import IntegerGraph, Placement
from pisnn_deploy.graph.integer import UTILISATION
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.target import Profile, load_profile
from pisnn_deploy.target.utilisation import count

LOIHI2 = load_profile("loihi2")
LIMITS = {
    "neurons_max": "neurons",
    "synaptic_memory_words": "synaptic_words",
    "input_axons_max": "input_axons",
    "output_axons_max": "output_axons",
    "axon_map_words": "axon_map_words",
    "axon_memory_words": "axon_memory_words",
    "total_words": "total_words",
}


@cache
def graph_of(name: str) -> IntegerGraph:
    if name == "hidden":
        return compiled(hidden_model((3, 2)), 23, "dirichlet=0,1")
    if name == "plane":
        return compiled_box(plane_model(), (10, 12), "x=dirichlet=1,1 y=periodic")
    if name == "large-plane":
        return compiled_box(plane_model(), (40, 48), "periodic")
    if name == "laplace":
        return compiled_box(laplace_model(), (20, 20), "x=dirichlet=0,1 y=dirichlet=0,0")
    return compiled(cells=40)


def core_limits(**limits: int) -> Profile:
    profile = LOIHI2
    for name, limit in limits.items():
        profile = with_figure(profile, name if "." in name else f"core.{name}", limit)
    return profile


def on_chips(profile: Profile, usable: int) -> Profile:
    return with_figure(profile, "chip.cores_usable", usable)


def placement_of(graph: IntegerGraph, profile: Profile, method: PlacementMethod = "auto") -> Placement:
    graph = Place(profile, method)(graph)
    assert graph.placement is not None
    assert defects(graph) == []
    return graph.placement


def pairs(graph: IntegerGraph, placement: Placement) -> dict[str, set[tuple[int, int]]]:
    """(core, source neuron) of each axon that leaves its neuron's core, found one by one."""
    found: dict[str, set[tuple[int, int]]] = {}
    for synapse in graph.synapses:
        rows = np.repeat(np.arange(synapse.outputs), np.diff(synapse.row_starts))
        core, origin = placement.core[synapse.target][rows], placement.core[synapse.source][synapse.columns]
        joined = zip(core.tolist(), synapse.columns.tolist(), origin.tolist(), strict=True)
        found[synapse.name] = {(core, neuron) for core, neuron, own in joined if core != own}
    return found


def expanded(runs: NDArray[np.int64]) -> list[tuple[int, int]]:
    return [(core, neuron) for first, length, core in runs.tolist() for neuron in range(first, first + length)]


def crossings(placement: Placement) -> int:
    return sum(int(runs[:, 1].sum()) for runs in placement.axons.values())


@settings(deadline=None, max_examples=60)
@given(
    name=st.sampled_from(["line", "hidden", "plane", "laplace"]),
    method=st.sampled_from(["blocks", "metis", "index"]),
    limits=st.dictionaries(st.sampled_from(sorted(LIMITS)), st.integers(1, 400), max_size=3),
    usable=st.integers(1, 12),
)
def test_no_limit_is_exceeded(name: str, method: PlacementMethod, limits: dict[str, int], usable: int) -> None:
    graph, profile = graph_of(name), on_chips(core_limits(**limits), usable)
    try:
        placed = Place(profile, method)(graph)
    except CompileError as error:
        assert "a cell and its faces take" in str(error)
        return
    placement = placed.placement
    assert placement is not None
    assert defects(placed) == []
    for limit, use in LIMITS.items():
        most = getattr(profile.core, limit).value
        assert most is None or placement.utilisation[use].max() <= most
    counts = count(placed, profile)
    assert counts.core.tolist() == list(range(placement.cores)), "cores are numbered without holes"
    for use in UTILISATION:
        assert np.array_equal(placement.utilisation[use], np.ceil(getattr(counts, use)))
    assert np.bincount(placement.chip).max() <= usable
    assert (np.diff(placement.chip) >= 0).all() and placement.chip[-1] == placement.chips - 1
    assert np.unique(placement.chip).size == placement.chips
    assert placement.utilisation["neurons"].sum() == graph.neurons


@pytest.mark.parametrize("method", ["blocks", "metis", "index"])
@pytest.mark.parametrize("name", ["hidden", "plane", "laplace"])
def test_faces_live_with_their_owners(name: str, method: PlacementMethod) -> None:
    graph = graph_of(name)
    placement = placement_of(graph, core_limits(neurons_max=60), method)
    assert placement.cores >= 3 and placement.method == method
    mesh, membrane = graph.mesh, placement.core["membrane"]
    for face, (source, target) in enumerate(zip(mesh.source.tolist(), mesh.target.tolist(), strict=True)):
        owner = source if source < mesh.cells else target
        assert placement.core["flux"][face] == membrane[owner]
        assert membrane[max(source, target)] == membrane[owner] or max(source, target) < mesh.cells
        for hidden in graph.between_fields:
            each = hidden.size // mesh.faces
            assert (placement.core[hidden.name][face * each : (face + 1) * each] == membrane[owner]).all()


@pytest.mark.parametrize("method", ["blocks", "metis", "index"])
@pytest.mark.parametrize("name", ["line", "hidden", "plane", "laplace"])
def test_axon_tables_hold_exactly_the_pairs(name: str, method: PlacementMethod) -> None:
    graph = graph_of(name)
    placement = placement_of(graph, on_chips(core_limits(neurons_max=50), 3), method)
    expected = pairs(graph, placement)
    for synapse, runs in placement.axons.items():
        assert expanded(runs) == sorted(expected[synapse])
        joins = (runs[1:, 2] == runs[:-1, 2]) & (runs[1:, 0] == runs[:-1, 0] + runs[:-1, 1])
        assert not joins.any(), "a run is as long as it can be"


def test_blocks_and_metis_beat_the_index_order_on_a_plane() -> None:
    graph, profile = graph_of("large-plane"), core_limits(neurons_max=100)
    index, blocks, metis = (crossings(placement_of(graph, profile, one)) for one in ("index", "blocks", "metis"))
    assert index > 1.8 * blocks
    assert index > 1.3 * metis


def test_auto_is_blocks_on_a_structured_mesh() -> None:
    graph, profile = graph_of("plane"), core_limits(neurons_max=60)
    assert placement_of(graph, profile).method == "blocks"
    assert placement_of(graph, load_profile("generic-int")).cores == 1


def test_the_fewest_blocks_are_used() -> None:
    graph = graph_of("large-plane")
    placement = placement_of(graph, core_limits(neurons_max=3 * 64))
    # Three neurons a cell: 64 cells a core. 40 x 48 cells are 30 squares of 8 x 8.
    assert placement.cores == 30
    assert placement.utilisation["neurons"].tolist() == [3 * 64] * 30
    core = placement.core["membrane"].reshape(40, 48)
    assert all(len(np.unique(core[8 * i : 8 * i + 8, 8 * j : 8 * j + 8])) == 1 for i in range(5) for j in range(6))


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("plane", {"total_words": 560}),
        ("plane", {"input_axons_max": 31}),
        ("large-plane", {"total_words": 300}),
        ("laplace", {"synaptic_memory_words": 41}),
    ],
)
def test_no_fewer_blocks_would_do(name: str, limits: dict[str, int]) -> None:
    graph, profile = graph_of(name), core_limits(**limits)
    placement = placement_of(graph, profile)
    shape, ((limit, most),) = graph.mesh.shape, limits.items()
    for columns in range(1, min(placement.cores, shape[0] + 1)):
        for rows in range(1, min(-(-placement.cores // columns), shape[1] + 1)):
            core = cut_evenly(shape, (columns, rows))
            cores = {population: core[home] for population, home in home_cells(graph).items()}
            coarse = Placement(cores, columns * rows, 1, np.zeros(columns * rows, np.int64), "blocks")
            uses = getattr(count(replace(graph, placement=coarse), profile), LIMITS[limit])
            assert columns * rows >= placement.cores or uses.max() > most, (columns, rows)


@pytest.mark.parametrize("name", ["line", "plane"])
def test_metis_gives_the_same_placement_each_time(name: str) -> None:
    graph, profile = graph_of(name), on_chips(core_limits(neurons_max=20), 3)
    first, second = (placement_of(graph, profile, "metis") for _ in range(2))
    for population in graph.chain:
        assert np.array_equal(first.core[population], second.core[population])
    assert np.array_equal(first.chip, second.chip)


@pytest.mark.parametrize("method", ["blocks", "metis", "index"])
@pytest.mark.parametrize(
    ("limit", "what"),
    [
        ("neurons_max", "neurons"),
        ("synaptic_memory_words", "words of synaptic memory"),
        ("input_axons_max", "input axons"),
        ("output_axons_max", "output axon entries"),
        ("axon_map_words", "words of axon map"),
        ("total_words", "words in total"),
    ],
)
def test_a_cell_too_large_for_a_core_is_refused(limit: str, what: str, method: PlacementMethod) -> None:
    with pytest.raises(CompileError, match=rf"^place: a cell and its faces take \d+ {what}, a core holds 1; "):
        Place(core_limits(**{limit: 1}), method)(graph_of("hidden"))


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(CompileError, match="a core holds 0; "):
        Place(core_limits(total_words=0))(graph_of("plane"))


def test_a_large_graph_is_placed_by_probing_single_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, profile = graph_of("large-plane"), core_limits(total_words=700)
    whole = placement_of(graph, profile)
    monkeypatch.setattr("pisnn_deploy.compiler.passes.place._LARGE", 0)
    probed = placement_of(graph, profile)
    assert probed.cores == whole.cores > 9
    assert np.array_equal(probed.core["membrane"], whole.core["membrane"])
    walls, profile = graph_of("laplace"), core_limits(total_words=90)
    assert placement_of(walls, profile).utilisation["total_words"].max() <= 90


def test_the_cost_of_crossing_chips_counts_against_the_limit() -> None:
    graph = graph_of("plane")
    profile = on_chips(core_limits(output_axons_max=150, output_axon_cross_chip=9), 2)
    free = on_chips(core_limits(output_axons_max=150, output_axon_cross_chip=0), 2)
    assert placement_of(graph, profile).cores > placement_of(graph, free).cores


def test_blocks_need_a_mesh_with_axes() -> None:
    class Cells:
        def __init__(self, graph: IntegerGraph) -> None:
            self.cells, self.faces, self.holders = graph.mesh.cells, graph.mesh.faces, graph.mesh.holders
            self.source, self.target = graph.mesh.source, graph.mesh.target
            self.grid = None

    graph = graph_of("plane")
    loose = replace(graph, mesh=Cells(graph))  # type: ignore[arg-type]
    with pytest.raises(CompileError, match=r"^place: blocks need a structured mesh; "):
        Place(LOIHI2, "blocks")(loose)
    placement = Place(core_limits(neurons_max=60))(loose).placement
    assert placement is not None and placement.method == "metis" and placement.cores > 3


def test_homes_of_neurons() -> None:
    graph = graph_of("laplace")
    homes = home_cells(graph)
    assert np.array_equal(homes["membrane"][: graph.mesh.cells], np.arange(graph.mesh.cells))
    assert set(homes) == set(graph.chain)
    assert all(homes[name].size == graph.size(name) for name in graph.chain)


@given(shape=st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple), data=st.data(), periodic=st.booleans())
def test_blocks_are_even_and_their_surface_is_counted(
    shape: tuple[int, ...], data: st.DataObject, periodic: bool
) -> None:
    blocks = tuple(data.draw(st.integers(1, count)) for count in shape)
    number = cut_evenly(shape, blocks)
    assert np.unique(number).tolist() == list(range(int(np.prod(blocks))))
    sizes = np.bincount(number)
    assert sizes.max() <= np.prod([-(-count // parts) for count, parts in zip(shape, blocks, strict=True)])
    box, cut = number.reshape(shape), 0
    for axis, parts in enumerate(blocks):
        cut += int((np.diff(box, axis=axis) != 0).sum())
        if periodic and parts > 1:
            cut += int((box.take(0, axis) != box.take(-1, axis)).sum())
    assert cut == cut_surface(shape, (periodic,) * len(shape), blocks)


def test_shapes_of_blocks_ascend_and_end_with_single_cells() -> None:
    shapes = list(block_shapes((3, 4), (False, False), 1))
    assert shapes[0] == (1, 1) and shapes[-1] == (3, 4)
    assert [a * b for a, b in shapes] == sorted(a * b for a, b in shapes)
    assert all(a <= 3 and b <= 4 for a, b in shapes)


@pytest.mark.parametrize(
    ("blocks", "usable", "most", "chips"),
    [((4, 4), 16, None, 1), ((4, 4), 4, None, 4), ((11, 32), 120, None, 4), ((11, 32), 120, 3, 3), ((7,), 2, 1, 4)],
)
def test_chips_are_rectangles_where_the_target_has_enough(
    blocks: tuple[int, ...], usable: int, most: int | None, chips: int
) -> None:
    chip = chips_of_blocks(blocks, (True,) * len(blocks), usable, most)
    assert np.unique(chip).size == chips and np.bincount(chip).max() <= usable


@given(cores=st.integers(2, 40), usable=st.integers(1, 9), seed=st.integers(0, 3))
@settings(deadline=None)
def test_chips_by_traffic_are_the_fewest_and_never_overfull(cores: int, usable: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    dense = np.triu(rng.integers(0, 4, (cores, cores)) * (rng.random((cores, cores)) < 0.2), 1)
    chip = chips_by_traffic(rows_of(dense + dense.T), usable, 0)
    assert np.bincount(chip).max() <= usable
    assert np.unique(chip).tolist() == list(range(-(-cores // usable)))


def test_parts_by_metis_cut_where_little_is_joined() -> None:
    dense = np.zeros((20, 20), np.int64)
    dense[:10, :10] = dense[10:, 10:] = 9
    np.fill_diagonal(dense, 0)
    dense[9, 10] = dense[10, 9] = 1
    assert metis_parts(rows_of(dense), np.ones(20), 2, 0).tolist() == [0] * 10 + [1] * 10
    assert metis_parts(rows_of(dense), np.ones(20), 20, 0).tolist() == list(range(20))
