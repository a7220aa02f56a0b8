"""Counting what cores use: the same however the synapses are cut into chunks."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from checked_graphs import heat_graph, placed
from hypothesis import given
from hypothesis import strategies as st

from pisnn_deploy.graph import Synapse
from pisnn_deploy.graph.connections import Explicit
from pisnn_deploy.target import axons, load_profile
from pisnn_deploy.target.axons import Link, input_axons, links
from pisnn_deploy.target.utilisation import count

LOIHI2 = load_profile("loihi2")


@pytest.mark.parametrize("chunk", [1, 7, 40])
def test_counts_do_not_depend_on_chunks(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    cores = [rng.integers(0, 9, 60).tolist() for _ in range(2)]
    graph = placed(heat_graph(60), *cores)
    whole = count(graph, LOIHI2)
    monkeypatch.setattr(axons, "_CHUNK", chunk)
    cut = count(graph, LOIHI2)
    for field in fields(whole):
        assert np.array_equal(getattr(whole, field.name), getattr(cut, field.name)), field.name


@given(
    rows=st.lists(st.sets(st.integers(0, 8), max_size=9), min_size=1, max_size=12),
    cores=st.integers(1, 5),
    data=st.data(),
)
def test_input_axons_are_the_pairs_counted_one_by_one(rows: list[set[int]], cores: int, data: st.DataObject) -> None:
    starts = np.cumsum([0, *map(len, rows)])
    columns = np.array([column for row in rows for column in sorted(row)], np.int32)
    core = [data.draw(st.integers(0, cores - 1)) for _ in rows]
    found = input_axons(Link("a", "membrane", "flux", 9, starts, columns), np.array(core), cores)
    expected: dict[tuple[int, int], int] = {}
    for row, number in zip(rows, core, strict=True):
        for column in row:
            expected[number, column] = expected.get((number, column), 0) + 1
    keys = list(zip(found.core.tolist(), found.source.tolist(), strict=True))
    assert keys == sorted(expected)
    assert dict(zip(keys, found.synapses.tolist(), strict=True)) == expected


def test_rows_of_a_link() -> None:
    (drive, _) = links(heat_graph(8))
    assert drive.of_rows(np.array([2, 3])).columns.tolist() == [2, 3, 3, 4]
    some = drive.of_rows(np.array([5, 0]))
    assert some.columns.tolist() == [5, 6, 0, 1] and some.row_starts.tolist() == [0, 2, 4]
    assert drive.of_rows(np.zeros(0, np.int64)).entries == 0


def test_an_empty_synapse_population_uses_nothing() -> None:
    graph = heat_graph(4)
    nothing = np.zeros(0, np.int64)
    empty = Synapse("empty", "membrane", "flux", Explicit(np.zeros(5, np.int64), nothing, nothing, 4), -1)
    found = input_axons(links(type(graph)(**{**vars(graph), "synapses": (empty,)}))[0], np.zeros(4, np.int64), 3)
    assert found.core.size == 0
