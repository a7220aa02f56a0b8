"""A graph of one field with other populations, in the words of `pisnn_deploy.graph.views`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pisnn_deploy.graph import kinds
from pisnn_deploy.graph.fields import Field, equal_volumes
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.graph.views import Flux, Membrane, Stock, stock_of
from pisnn_deploy.mesh import FaceMesh

_VIEWS = ("membrane", "hidden", "flux", "stock", "medium", "binary", "window", "quantum")


def rebuilt(graph: IntegerGraph, **changes: Any) -> IntegerGraph:
    """A graph with other values of its attributes, those that are views of its populations and its field included.

    Parameters
    ----------
    graph : IntegerGraph
        Of one field.
    changes : mapping of str to object
        By attribute.

    Returns
    -------
    IntegerGraph
        Its channels join the holders of its mesh.
    """
    mesh = changes.get("mesh", graph.mesh)
    views = {name: changes.pop(name) for name in _VIEWS if name in changes}
    membrane: Membrane = views.get("membrane", graph.membrane)
    field = _field(graph.sole_field, membrane, views)
    if mesh is not graph.mesh and mesh.volume is not None and graph.materials is None:
        field = replace(field, inverse_volume=equal_volumes(mesh.cells), unit_volume=mesh.volume)
    populations = (
        kinds.holders(field, membrane.initial),
        *(
            tuple(kinds.rectifiers(layer.name, layer.bias, layer.shift) for layer in views["hidden"])
            if "hidden" in views
            else graph.between_fields
        ),
        _faces(mesh, views.get("flux", graph.flux), views.get("stock", stock_of(graph.sole_channels))),
    )
    lines = views.get("binary", {population.name: population.lines for population in graph.populations})
    return replace(
        graph,
        populations=tuple(replace(population, lines=lines.get(population.name, 0)) for population in populations),
        fields=(field,),
        channels=(kinds.face_channels(mesh),),
        **changes,
    )


def _field(field: Field, membrane: Membrane, views: dict[str, Any]) -> Field:
    medium = views.get("medium")
    volumes = {} if medium is None else {"inverse_volume": medium.inverse_volume, "unit_volume": medium.unit_volume}
    given = {name: views[name] for name in ("window", "quantum") if name in views}
    return replace(field, reservoirs=membrane.reservoirs, held=membrane.held, **given, **volumes)


def _faces(mesh: FaceMesh, flux: Flux, stock: Stock | None) -> Population:
    if stock is not None:
        return kinds.late_faces(mesh, stock.send_threshold, flux.threshold_exponent)
    return kinds.faces(mesh, flux.bias, flux.threshold_exponent, flux.leak, flux.share_shift)
