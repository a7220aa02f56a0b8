"""Pictures of runs and graphs."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydot
import pytest
from checked_graphs import with_figure
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread
from models_under_test import box, compiled, compiled_box, hidden_model, plane_model

from pisnn_deploy.compiler.options import PlacementMethod
from pisnn_deploy.compiler.passes.partition import cut_evenly
from pisnn_deploy.compiler.passes.place import Place
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.mesh import structured_mesh
from pisnn_deploy.mesh.boundary import PERIODIC
from pisnn_deploy.physics.problems import problem
from pisnn_deploy.report.core_picture import _colours, cores_height, fill_with_cores
from pisnn_deploy.report.graph_picture import draw_graph
from pisnn_deploy.report.graph_text import dot_text
from pisnn_deploy.report.panels import drawable
from pisnn_deploy.report.picture import draw_run
from pisnn_deploy.runs import RunOptions, run_graph
from pisnn_deploy.target import load_profile

SIGNATURE = b"\x89PNG\r\n\x1a\n"
RED = (214, 39, 40)


def red_dots(path: Path) -> int:
    dots = np.rint(imread(path)[:, :, :3] * 255).astype(np.int64)
    return int((dots == RED).all(axis=2).sum())


def test_a_run_is_drawn_the_same_each_time(tmp_path: Path) -> None:
    graph = compiled(cells=32)
    run = run_graph("fast", graph, graph.initial, RunOptions(20, every=3))
    exact = problem("heat1d").reference(graph.grid, np.zeros(0), 20 * graph.time_step)
    for name in ("a.png", "b.png"):
        draw_run(tmp_path / name, graph, run, exact)
    assert (tmp_path / "a.png").read_bytes().startswith(SIGNATURE)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def violated() -> IntegerGraph:
    graph = compiled(cells=8)
    route = graph.synapses[-1]
    mantissas = route.mantissas.copy()
    mantissas[3] *= 2
    return replace(graph, synapses=(*graph.synapses[:-1], route.with_mantissas(mantissas)))


@pytest.mark.parametrize(
    ("graph", "steps"), [(compiled(cells=2), 0), (compiled(cells=2), 1), (compiled(cells=8), 5), (violated(), 9)]
)
def test_short_and_broken_runs_are_drawn(graph: IntegerGraph, steps: int, tmp_path: Path) -> None:
    run = run_graph("fast", graph, graph.initial, RunOptions(steps))
    draw_run(tmp_path / "a.png", graph, run, None)
    assert (tmp_path / "a.png").read_bytes().startswith(SIGNATURE)


def test_a_field_at_rest_is_drawn(tmp_path: Path) -> None:
    graph = compiled(cells=8)
    run = run_graph("fast", graph, np.full(8, 1000, np.int64), RunOptions(4))
    assert run.packets_sent == 0
    draw_run(tmp_path / "a.png", graph, run, None)


def test_a_violated_run_is_told_in_red(tmp_path: Path) -> None:
    whole, broken = compiled(cells=8), violated()
    for name, graph in (("whole.png", whole), ("broken.png", broken)):
        draw_run(tmp_path / name, graph, run_graph("fast", graph, graph.initial, RunOptions(9)), None)
    assert red_dots(tmp_path / "whole.png") == 0
    assert red_dots(tmp_path / "broken.png") > 0


def test_a_run_stopped_at_its_start_is_drawn(tmp_path: Path) -> None:
    graph = compiled(cells=8)
    run = run_graph("fast", graph, graph.initial + graph.window.upper, RunOptions(9))
    assert run.trace.step.size == 0
    draw_run(tmp_path / "a.png", graph, run, np.ones(8))
    assert red_dots(tmp_path / "a.png") > 0


def test_drift_is_marked_even_where_no_check_saw_it(tmp_path: Path) -> None:
    graph = compiled(cells=8)
    run = run_graph("fast", graph, graph.initial, RunOptions(9))
    mass = run.trace.mass.copy()
    mass[5, 3] += 1
    drifted = replace(run, trace=replace(run.trace, mass=mass))
    assert not drifted.conserved and not any(drifted.violations.values())
    draw_run(tmp_path / "a.png", graph, drifted, None)
    assert red_dots(tmp_path / "a.png") > 0


@pytest.mark.parametrize("shape", [(4, 4), (1, 16), (2, 2, 4)])
def test_planes_and_boxes_are_drawn(shape: tuple[int, ...], tmp_path: Path) -> None:
    line = compiled(cells=16)
    run = run_graph("fast", line, line.initial, RunOptions(3))
    mesh = structured_mesh(shape, (1.0,) * len(shape), ((PERIODIC, PERIODIC),) * len(shape))
    draw_run(tmp_path / "a.png", replace(line, mesh=mesh), run, np.ones(16))
    assert (tmp_path / "a.png").read_bytes().startswith(SIGNATURE)


@pytest.mark.parametrize("arriving", [(0, 10**6, 10**3, 1), (0, 10**6, 10**3, 0), (0, 5, 4, 3)])
def test_packets_over_decades_are_drawn(arriving: tuple[int, ...], tmp_path: Path) -> None:
    graph = compiled(cells=8)
    run = run_graph("fast", graph, graph.initial, RunOptions(3))
    trace = replace(run.trace, in_flight=np.array(arriving, np.int64))
    draw_run(tmp_path / "a.png", graph, replace(run, trace=trace), None)
    assert (tmp_path / "a.png").read_bytes().startswith(SIGNATURE)


def test_a_reference_of_zeros_and_a_title_with_dollars_are_drawn(tmp_path: Path) -> None:
    graph = compiled(cells=8)
    run = run_graph("fast", graph, graph.initial, RunOptions(3))
    draw_run(tmp_path / "a.png", graph, run, np.zeros(8), "zero", "$\\unknown$")
    assert (tmp_path / "a.png").read_bytes().startswith(SIGNATURE)


def test_a_graph_is_drawn_the_same_each_time(tmp_path: Path) -> None:
    graph = compiled(hidden_model((3, 4)), 8)
    for name in ("a.png", "b.png"):
        draw_graph(tmp_path / name, graph)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    draw_graph(tmp_path / "c.png", replace(graph, period=None, coding=None, bounds=()))
    assert (tmp_path / "c.png").read_bytes() != (tmp_path / "a.png").read_bytes()


def test_the_graph_as_picture_and_as_dot(tmp_path: Path) -> None:
    graph = compiled(hidden_model((3,)), 4)
    draw_graph(tmp_path / "g.png", graph)
    assert (tmp_path / "g.png").read_bytes().startswith(SIGNATURE)


def parsed(text: str) -> pydot.Dot:
    found = pydot.graph_from_dot_data(text)
    assert found is not None and len(found) == 1
    return found[0]


def test_the_graph_in_the_language_of_graphviz() -> None:
    graph = compiled(hidden_model((3,)), 4)
    dot = parsed(dot_text(graph))
    assert dot.get_name() == '"heat1d"'
    assert dot.get_attributes()["label"] == (
        '"heat1d: 3 time steps per PDE step, delta coding\\n'
        '1 core on 1 chip of loihi2 (by blocks), 0 axons between cores"'
    )
    nodes = {node.get_name(): node.get_attributes()["label"] for node in dot.get_nodes() if node.get_name()[0] == '"'}
    assert list(nodes) == ['"membrane"', '"hidden1"', '"flux"']
    bits = graph.bits("membrane", "mass"), graph.bits("membrane", "payload")
    assert nodes['"membrane"'] == f'"membrane\\n4 neurons\\nmass: {bits[0]} bits\\npayload: {bits[1]} bits\\non 1 core"'
    edges = [(edge.get_source(), edge.get_destination(), edge.get_attributes()["label"]) for edge in dot.get_edges()]
    assert [edge[:2] for edge in edges] == [
        ('"membrane"', '"hidden1"'),
        ('"hidden1"', '"flux"'),
        ('"flux"', '"membrane"'),
    ]
    assert edges[2][2] == '"route\\n8 entries\\nweights -2 to 2, times 2^-1"'


def test_names_with_quotes_and_backslashes_stay_whole() -> None:
    graph = compiled(cells=4)
    name = 'a"b\\n\\'
    named = replace(graph.synapses[0], name=name)
    dot = parsed(dot_text(replace(graph, synapses=(named, *graph.synapses[1:]), placement=None)))
    label = dot.get_edges()[0].get_attributes()["label"]
    assert label.startswith('"a\\"b\\\\n\\\\\\n16 entries') and len(dot.get_edges()) == 2


def placed_anew(graph: IntegerGraph, neurons: int, usable: int, method: PlacementMethod = "auto") -> IntegerGraph:
    profile = with_figure(load_profile("loihi2"), "core.neurons_max", neurons)
    return Place(with_figure(profile, "chip.cores_usable", usable), method)(graph)


def cores_alone(graph: IntegerGraph) -> bytes:
    figure = Figure(figsize=(9.0, cores_height(graph)))
    FigureCanvasAgg(figure)
    fill_with_cores(figure, graph)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def test_cores_over_a_line_a_plane_and_a_box_are_drawn_the_same_each_time(tmp_path: Path) -> None:
    plane = compiled_box(plane_model(), (10, 12), "x=dirichlet=1,1 y=periodic")
    cube = replace(compiled(cells=64), mesh=box((4, 4, 4)))
    placement = placed_anew(compiled(cells=64), 32, 3).placement
    graphs = [
        compiled(cells=1),
        placed_anew(compiled(cells=64), 20, 3),
        placed_anew(plane, 60, 3),
        placed_anew(plane, 60, 3, "metis"),
        placed_anew(plane, 5, 12),
        replace(cube, placement=placement),
        replace(plane, placement=None),
        replace(plane, profile="a-target-of-the-user"),
    ]
    for graph in graphs:
        picture = cores_alone(graph)
        assert picture.startswith(SIGNATURE) and picture == cores_alone(graph)


def test_neighbouring_cores_differ_in_colour() -> None:
    core = cut_evenly((32, 48), (16, 24)).reshape(32, 48)
    colours = _colours(core, 16 * 24)[core]
    for axis in (0, 1):
        for shift in (1, -1):
            other, shifted = np.roll(core, shift, axis), np.roll(colours, shift, axis)
            assert (colours != shifted)[core != other].all()


def test_the_picture_of_a_placed_graph_shows_the_cores_below(tmp_path: Path) -> None:
    graph = compiled(cells=32)
    draw_graph(tmp_path / "placed.png", graph)
    draw_graph(tmp_path / "loose.png", replace(graph, placement=None))
    assert imread(tmp_path / "placed.png").shape[0] > 2 * imread(tmp_path / "loose.png").shape[0]


def test_a_character_that_the_font_lacks_is_spelled_out() -> None:
    # matplotlib would warn of it on stderr and draw a box.
    assert drawable("Wärme ∂u 中\u202e\U0001f680\n") == r"Wärme ∂u \u4e2d\u202e\U0001f680\n"
