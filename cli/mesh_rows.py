"""Rows of the table of `compile` about meshes and fluxes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pisnn_deploy.cli.console import Row
from pisnn_deploy.core.printable import counted
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.cell_graph import has_own_materials

KEYS = ("fluxes", "two_point", "welded_points", "split_cells", "clock")
"""What artifacts record about meshes, fluxes and the clock."""


def time_step(graph: IntegerGraph, provenance: Mapping[str, Any]) -> list[Row]:
    """Time step, and the model's own where only the clock differs from it."""
    rows: list[Row] = [("time step", f"{graph.time_step:.6g}")]
    own = provenance.get("clock")
    if own is not None:
        lengths = ", ".join(f"{length:g}" for length in own["lengths"])
        model = f"diffusivity {own['diffusivity']:g} and length {lengths}"
        step = f"{own['time_step']:.6g}"
        rows.append(("clock", f"with the model's own {model}, these integers have the time step {step}"))
    return rows


def quality(provenance: Mapping[str, Any]) -> list[Row]:
    """Quality of a mesh file."""
    quality, welded = provenance.get("two_point"), provenance.get("welded_points")
    rows: list[Row] = [] if welded is None else [("welded", f"{counted(welded, 'point')} joined with others")]
    rows += split(provenance)
    if quality is not None:
        low, high = quality["flux_factors"]
        most = "at most " if quality["flux_factors_are_bounds"] else ""
        several = provenance.get("fluxes") is not None
        factors = f"{'would be ' if several else ''}{most}{low:.3f} to {high:.3f}"
        rows += [("fluxes", "multi-point: exact for linear fields")] if several else []
        rows += [
            (
                "angles",
                f"mean {quality['mean_degrees']:.1f}, largest {quality['largest_degrees']:.1f} degrees between centre "
                f"lines and face normals; {100 * quality['share_beyond_20_degrees']:.0f} % of faces beyond 20",
            ),
            (
                "two-point fluxes",
                f"{factors} times the right ones of linear fields, by direction",
            ),
        ]
    return rows


def split(provenance: Mapping[str, Any]) -> list[Row]:
    """How many cells of the mesh file were split into triangles or tetrahedra."""
    number = provenance.get("split_cells")
    return (
        [("split", f"{counted(number, 'quadrilateral or hexahedral cell')} of the mesh file")]
        if type(number) is int
        else []
    )


def fluxes(graph: IntegerGraph) -> list[Row]:
    """That the trained kernel is not used, where the user did not ask for materials."""
    if graph.materials is None or has_own_materials(graph):
        return []
    cells = " x ".join(f"{width:.3g}" for width in graph.grid.spacing)
    factors = " and ".join(f"{factor:g}" for factor in graph.materials.along)
    along = f", and diffusivity is {factors} times that of the model" if factors else ""
    return [("fluxes", f"two-point, because the trained kernel is for square cells: {cells}{along}")]
