"""Pictures have the coordinates of the recipe."""

from __future__ import annotations

import numpy as np
import pytest
from law_recipes import shallow_water
from models_under_test import compiled, compiled_box, space_model

from pisnn_deploy.compiler.construct import construct
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.places import centres_of, origin_of
from pisnn_deploy.report.picture import figure_of_run
from pisnn_deploy.report.places import line_of, parse_plane, place_text, planes_of, view_of
from pisnn_deploy.runs import RunOptions, fast


def test_a_domain_that_does_not_begin_at_0_is_drawn_where_it_is() -> None:
    graph = construct(shallow_water(), (10,))
    assert origin_of(graph) == (-2.5,)
    assert view_of(graph).extent == (-2.5, 2.5)
    line = line_of(graph)
    assert (line.positions[0], line.positions[-1], line.extent) == (-2.25, 2.25, 5.0)


def test_a_box_is_drawn_on_a_plane_normal_to_each_axis_or_on_a_chosen_one() -> None:
    graph = compiled_box(space_model(), (6, 5, 7), "no-flux")
    views = planes_of(graph, None)
    assert [(view.axes, view.shape, view.extent) for view in views] == [
        (("y", "z"), (5, 7), (0.0, 5.0, 0.0, 7.0)),
        (("x", "z"), (6, 7), (0.0, 6.0, 0.0, 7.0)),
        (("x", "y"), (6, 5), (0.0, 6.0, 0.0, 5.0)),
    ]
    assert [place_text(graph, view) for view in views] == ["x = 3.5", "y = 2.5", "z = 3.5"]
    for text, position in (("z=0", 0.5), ("z = 2.9", 2.5), ("z=7", 6.5)):
        (view,) = planes_of(graph, parse_plane(text))
        assert np.unique(centres_of(graph)[view.cells, 2]).tolist() == [position]
    run = fast.run(graph, graph.initial, RunOptions(1))
    titles = [axes.get_title("left") for axes in figure_of_run(graph, run, None).axes]
    assert titles[:3] == ["(a) x = 3.5", "y = 2.5", f"z = 3.5, time {graph.time_step:.4g}"]
    chosen = figure_of_run(graph, run, None, plane=parse_plane("y=1.2")).axes[0].get_title("left")
    assert chosen == f"(a) cell values at time {graph.time_step:.4g}, y = 1.5"


def test_planes_that_do_not_exist_are_refused() -> None:
    graph = compiled_box(space_model(), (6, 5, 7), "no-flux")
    for text, message in {
        "z=8": "`plane` z: lies outside the domain, which is 7 long",
        "w=1": "`plane` w: expected one of the axes x, y, z",
    }.items():
        with pytest.raises(UsageError, match=f"^{message}$"):
            planes_of(graph, parse_plane(text))
    for text in ("z", "=1", "z=nan", "z=a"):
        with pytest.raises(UsageError, match=r"expected an axis and a position along it, such as z=0.5"):
            parse_plane(text)
    with pytest.raises(UsageError, match="only a grid of three axes is drawn on planes"):
        planes_of(compiled(cells=8), parse_plane("x=0.5"))
