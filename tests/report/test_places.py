"""Pictures have the coordinates of the recipe."""

from __future__ import annotations

from law_recipes import shallow_water

from pisnn_deploy.compiler.construct import construct
from pisnn_deploy.graph.places import origin_of
from pisnn_deploy.report.places import line_of, view_of


def test_a_domain_that_does_not_begin_at_0_is_drawn_where_it_is() -> None:
    graph = construct(shallow_water(), (10,))
    assert origin_of(graph) == (-2.5,)
    assert view_of(graph).extent == (-2.5, 2.5)
    line = line_of(graph)
    assert (line.positions[0], line.positions[-1], line.extent) == (-2.25, 2.25, 5.0)
