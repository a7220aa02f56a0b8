"""The raster picture shows every spike, however many points share a pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from models_under_test import compiled

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.report.raster import draw_raster, pooled, raster_of
from pisnn_deploy.runs import RunOptions, run_graph
from pisnn_deploy.runs.probes import probes_of


def test_a_raster_has_a_panel_for_each_output_and_is_drawn_the_same_each_time(tmp_path: Path) -> None:
    graph = compiled(cells=8)
    run = run_graph("fast", graph, graph.initial, RunOptions(20, probes=probes_of(graph, ["flux:1,6", "membrane"])))
    figure = raster_of(graph, run.trace)
    titles = [panel.get_title(loc="left") for panel in figure.axes if panel.get_title(loc="left")]
    count = int(np.count_nonzero(run.trace.probes[0].spikes()))
    assert titles[0] == f"membrane: {count} spikes of 8 neurons" and titles[1].endswith("spikes of 2 neurons")
    for name in ("a.png", "b.png"):
        draw_raster(tmp_path / name, graph, run.trace)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_silence_and_a_single_row_are_drawn() -> None:
    graph = compiled(cells=8)
    flat = np.full(8, int(graph.initial[0]))
    for steps in (0, 3):
        run = run_graph("fast", graph, flat, RunOptions(steps, probes=probes_of(graph, ["flux"])))
        assert "flux: 0 spikes of 8 neurons" in [a.get_title(loc="left") for a in raster_of(graph, run.trace).axes]


def test_no_spike_is_lost_where_points_fall_together() -> None:
    spikes = np.zeros((10, 3), np.int64)
    spikes[4, 1], spikes[5, 1], spikes[9, 2] = 3, -7, 1
    merged = pooled(spikes, 4, 0)
    assert merged.shape == (4, 3) and merged[3, 2] == 1
    assert sorted(merged[:, 1].tolist()) in ([-7, 0, 0, 0], [-7, 0, 0, 3])
    assert pooled(spikes, 10, 0) is spikes


def test_nothing_to_draw_is_said() -> None:
    graph = compiled(cells=8)
    run = run_graph("fast", graph, graph.initial, RunOptions(3))
    with pytest.raises(UsageError, match=r"^raster: no neurons that send were probed; name some with `probe`$"):
        raster_of(graph, run.trace)
