"""Parts of generated kernels: weights, tiles, and compiled code that is kept on disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from models_under_test import (
    binary_box,
    compiled,
    compiled_box,
    heat_model,
    hidden_model,
    plane_model,
    seeing_box,
    space_model,
)

import pisnn_deploy
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.maps import weights_of_port
from pisnn_deploy.runs.kernels import machine, schedule, tiles
from pisnn_deploy.runs.kernels.building import network_of
from pisnn_deploy.runs.kernels.machine import FOLDER, kernel_folder
from pisnn_deploy.runs.kernels.network import Node, Source
from pisnn_deploy.runs.kernels.schedule import schedule_of
from pisnn_deploy.runs.kernels.tiles import Tiles, tiles_of
from pisnn_deploy.runs.kernels.weights import Weights
from pisnn_deploy.runs.kernels.wiring import weights_into

GRAPHS: dict[str, Callable[[], IntegerGraph]] = {
    "ring": lambda: compiled(cells=24),
    "line": lambda: compiled(heat_model(leak=900), cells=9, boundary="x-=no-flux x+=dirichlet=1"),
    "plane": lambda: compiled_box(plane_model(), (13, 17), "x=dirichlet=0.5,1.5 y=periodic"),
    "torus": lambda: compiled_box(plane_model(), (12, 16), "periodic"),
    "box": lambda: compiled_box(space_model(), (4, 5, 9), "x=periodic y=no-flux z=dirichlet=1,0.5"),
    "hidden layers": lambda: compiled(hidden_model((3, 2)), 11),
    "binary": lambda: binary_box(plane_model(), (5, 6), "periodic", "delta"),
    "law": lambda: pisnn_deploy.compile("shallow_water2d", mesh=(12, 10)).graph,
    "seeing": lambda: seeing_box(plane_model(), (5, 6), "periodic", "dense"),
}


@cache
def graph_of(name: str) -> IntegerGraph:
    """A graph, compiled once."""
    return GRAPHS[name]()


def dense(weights: Weights, width: int) -> Integers:
    """Weights as a matrix, int64 [neurons, width]."""
    matrix = np.zeros((weights.size, width), np.int64)
    for elements, values in zip(*weights.read(np.arange(weights.size)), strict=True):
        read = np.flatnonzero(elements >= 0)
        np.add.at(matrix, (read, elements[read]), values[read])
    return matrix


@pytest.mark.parametrize("name", GRAPHS)
def test_weights_of_all_kinds_are_those_of_the_synapses(name: str) -> None:
    graph = graph_of(name)
    for population in graph.populations:
        for port in population.program.ports:
            found, expected = weights_into(graph, population.name, port), weights_of_port(graph, population.name, port)
            assert [entry[:2] for entry in found] == [entry[:2] for entry in expected]
            for (_, _, weights), (_, _, rows) in zip(found, expected, strict=True):
                spelled = np.zeros(rows.shape, np.int64)
                spelled[rows.row_of, rows.columns] = rows.values
                assert np.array_equal(dense(weights, rows.shape[1]), spelled)


def read_by_tiles(node: Node) -> list[Integers]:
    """What the tiles of a node read, as a matrix for each term; fails if a neuron is in two tiles."""
    table, seen = tiles_of(node), np.zeros(node.size, np.int64)
    widths = [1 + int(max(term.weights.read(np.arange(node.size))[0].max(initial=0), 0)) for term in node.terms]
    matrices = [np.zeros((node.size, width), np.int64) for width in widths]
    for at in range(table.count):
        kind, first, length = int(table.kind[at]), int(table.first[at]), int(table.length[at])
        if kind >= len(table.patterns):
            listing = table.listings[kind - len(table.patterns)]
            part = slice(first, first + length)
            seen[listing.neurons[part]] += 1
            for matrix, columns, weights in zip(matrices, listing.columns, listing.weights, strict=True):
                for elements, values in zip(columns[:, part], weights[:, part], strict=True):
                    np.add.at(matrix, (listing.neurons[part], elements), values)
            continue
        neurons = np.arange(first, first + length)
        seen[neurons] += 1
        for matrix, row, begin in zip(matrices, table.patterns[kind].weights, table.begins, strict=True):
            for entry, weight in enumerate(row):
                if weight is None:
                    weight = int(table.factors[at, begin + entry])
                if weight:
                    np.add.at(matrix, (neurons, table.bases[at, begin + entry] + neurons - first), weight)
    assert (seen == 1).all()
    return matrices


@pytest.mark.parametrize(("length", "patterns"), [(tiles.TILE, tiles.MOST_PATTERNS), (7, 1), (9, 0)])
@pytest.mark.parametrize("name", GRAPHS)
def test_tiles_read_what_the_neurons_read(
    name: str, length: int, patterns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "TILE", length)
    monkeypatch.setattr(tiles, "MOST_PATTERNS", patterns)
    for node in network_of(graph_of(name)).nodes:
        for matrix, term in zip(read_by_tiles(node), node.terms, strict=True):
            assert np.array_equal(matrix, dense(term.weights, matrix.shape[1]))


def elements(node: Node, table: Tiles, tile: int) -> Iterator[tuple[Source, set[int], bool]]:
    """What a tile reads with weights, and what it reads or writes at its own places: buffer, elements, is it own."""
    kind, first, length = (int(each[tile]) for each in (table.kind, table.first, table.length))
    if kind < len(table.patterns):
        neurons = np.arange(first, first + length)
    else:
        neurons = table.listings[kind - len(table.patterns)].neurons[first : first + length]
    for source in node.own:
        yield source, set(neurons.tolist()), True
    for term in node.terms:
        read, values = term.weights.read(neurons)
        yield term.source, set(read[(read >= 0) & (values != 0)].tolist()), False


@pytest.mark.parametrize(("shares", "steps"), [(1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (3, 4)])
@pytest.mark.parametrize("name", GRAPHS)
def test_every_tile_comes_after_what_it_needs(
    name: str, shares: int, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another round, or before it on the same thread: what it reads is written, and what it overwrites is read."""
    monkeypatch.setattr(tiles, "TILE", 7)
    monkeypatch.setattr(schedule, "BLOCK_BYTES", 400)
    network = network_of(graph_of(name))
    plan = schedule_of(network, {node.name: tiles_of(node) for node in network.nodes}, shares, steps)
    assert (plan.shares, plan.steps) == (shares, steps)
    when: dict[tuple[int, int, int], tuple[int, int, int]] = {}  # share, round, place of step, node, tile
    for share in range(shares):
        for turn in range(plan.rounds):
            at = share * plan.rounds + turn
            for number, first, last, _, step, _ in plan.items[plan.starts[at] : plan.starts[at + 1]].tolist():
                for tile in range(first, last):
                    assert when.setdefault((step, number, tile), (share, turn, len(when)))[2] == len(when) - 1
    order = [(step, number) for step in range(steps) for number in range(len(network.nodes))]
    tiles_in = {(step, number): plan.tiles[step][network.nodes[number].name] for step, number in order}
    assert sorted(when) == [(*key, tile) for key in order for tile in range(tiles_in[key].count)]
    touched: dict[tuple[Source, int], list[tuple[tuple[int, int, int], bool]]] = {}
    for step, number in order:
        now: list[tuple[tuple[Source, int], tuple[tuple[int, int, int], bool]]] = []
        node = network.nodes[number]
        for tile in range(tiles_in[step, number].count):
            share, turn, at = when[step, number, tile]
            for source, places, is_own in elements(node, tiles_in[step, number], tile):
                is_doubled = network.buffers[source.buffer].is_doubled
                is_changed = is_own and not (is_doubled and not source.is_new)
                array = replace(source, is_new=source.is_new ^ bool(is_doubled and step % 2))
                for place in places:
                    for (share_before, turn_before, at_before), was_changed in touched.get((array, place), ()):
                        if is_changed or was_changed:
                            is_before = (share, turn) == (share_before, turn_before) and at_before < at
                            assert turn_before < turn or is_before
                    now.append(((array, place), ((share, turn, at), is_changed)))
        for key, entry in now:
            touched.setdefault(key, []).append(entry)


TEXT = """define i64 @advance(ptr %p, i64 %a, i64 %b, i64 %c, i64 %d, i64 %e) {
  ret i64 %NUMBER
}
define i64 @sweep(ptr %p, i64 %a, i64 %b, i64 %c, i64 %d, i64 %e) {
  ret i64 %e
}
define i64 @respond(ptr %p, i64 %a, i64 %b) {
  ret i64 %b
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    machine.compiled.cache_clear()
    monkeypatch.setenv(FOLDER, str(tmp_path / "kernels"))
    return tmp_path / "kernels"


def run(text: str) -> int:
    """Compile, or load, and run."""
    machine.compiled.cache_clear()
    return machine.compiled(text, is_optimised=True).advance(None, 1, 2, 3, 4, 5)


def test_compiled_code_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(TEXT.replace("NUMBER", "d")) == 4 and run(TEXT.replace("NUMBER", "e")) == 5
    assert len(list(folder.glob("*.o"))) == 2 and folder.stat().st_mode & 0o077 == 0
    monkeypatch.setattr(machine.Machine, "object_code", lambda *arguments, **options: pytest.fail("compiled again"))
    assert run(TEXT.replace("NUMBER", "d")) == 4


@pytest.mark.parametrize("damage", ["cut", "changed", "writable", "link"])
def test_kept_code_that_may_be_another_s_is_not_loaded(damage: str, folder: Path, tmp_path: Path) -> None:
    """As if code that returns another number lay there."""
    assert run(TEXT.replace("NUMBER", "d")) == 4
    (path,) = folder.glob("*.o")
    assert run(TEXT.replace("NUMBER", "e")) == 5
    other = next(each for each in folder.glob("*.o") if each != path)
    content = other.read_bytes()
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    elif damage == "changed":
        path.write_bytes(content)
    elif damage == "writable":
        path.chmod(0o666)
    else:
        path.rename(tmp_path / "moved")
        path.symlink_to(tmp_path / "moved")
    compiled_again: list[bool] = []
    object_code = machine.Machine.object_code

    def counted(self: machine.Machine, text: str, *, is_optimised: bool) -> bytes:
        compiled_again.append(True)
        return object_code(self, text, is_optimised=is_optimised)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine.Machine, "object_code", counted)
        assert run(TEXT.replace("NUMBER", "d")) == 4
    assert compiled_again


@pytest.mark.parametrize("relative", ["here", ".", "~/here", "./here:/there"])
def test_a_folder_that_others_may_change_is_not_used(
    relative: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kernel_folder() == folder
    folder.chmod(0o777)
    assert kernel_folder() is None and run(TEXT.replace("NUMBER", "d")) == 4
    monkeypatch.setenv(FOLDER, "")
    assert kernel_folder() is None
    monkeypatch.setenv(FOLDER, relative)
    monkeypatch.setenv("XDG_CACHE_HOME", "there")
    monkeypatch.setenv("HOME", str(folder.parent))
    assert kernel_folder() == folder.parent / ".cache" / "pisnn-deploy" / "kernels"
    assert not Path(relative.split(":")[0]).is_dir() or relative == "."


def test_a_folder_that_cannot_be_made_is_no_obstacle(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.parent.joinpath("file").touch()
    monkeypatch.setenv(FOLDER, str(folder.parent / "file" / "kernels"))
    assert kernel_folder() is None and run(TEXT.replace("NUMBER", "c")) == 3
    if os.geteuid():
        folder.mkdir(mode=0o500)
        monkeypatch.setenv(FOLDER, str(folder))
        assert run(TEXT.replace("NUMBER", "c")) == 3
