"""The integer graph as plain data: ``graph.json``, ``certificate.json`` and named integer arrays.

The dataclasses of the graph are stored as they are (`pisnn_deploy.graph.stored`), except for what follows from the mesh
or from sizes; `_Document` lists what replaces it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, Field, TypeAdapter, ValidationInfo

from pisnn_deploy.graph.annotations import Bound, IntegerLayer, Materials, PassRecord, Placement, Quantisation
from pisnn_deploy.graph.claims import Certificate
from pisnn_deploy.graph.connections import KINDS, Place
from pisnn_deploy.graph.fields import Channels
from pisnn_deploy.graph.fields import Field as ConservedField
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.graph.runs import Runs
from pisnn_deploy.graph.stored import (
    ArrayError,
    Arrays,
    Floats,
    Integer32,
    Integers,
    Label,
    ListOf,
    Name,
    Plain,
    Stored,
    TableOf,
    plain,
)
from pisnn_deploy.graph.synapse import ARRIVAL, Synapse
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.mesh import PERIODIC, CellMesh, FaceMesh, Side, structured_mesh
from pisnn_deploy.mesh.boundary import MAXIMUM_CELLS
from pisnn_deploy.physics.model import ModelSpec, PositiveFloat

SCHEMA = "pisnn-deploy/artifact"
VERSION = 6
MOST_POPULATIONS = 64
Axes = Field(min_length=1, max_length=3)


@dataclass(frozen=True)
class _Grid(Stored):
    kind: Literal["structured"]
    shape: Annotated[tuple[Annotated[int, Field(ge=1, le=MAXIMUM_CELLS)], ...], Axes]
    lengths: Annotated[tuple[PositiveFloat, ...], Axes]
    boundary: Annotated[tuple[tuple[Side, Side], ...], Axes]


@dataclass(frozen=True)
class _Cells(Stored):
    kind: Literal["cells"]
    points: Annotated[Floats, TableOf(floats=True)]
    corners: Annotated[Integers, TableOf()]
    source: str
    target: str
    face_corners: Annotated[Integers, TableOf()]
    material: Annotated[Integers, ListOf(lambda data, arrays: len(data["corners"]))]
    material_names: Annotated[tuple[Label, ...], Field(max_length=4096)]
    group: str
    group_names: Annotated[tuple[Label, ...], Field(max_length=4096)]


def _laid_out(read: _Grid | _Cells, info: ValidationInfo) -> FaceMesh:
    """Build the mesh from its description; a few digits could claim more cells than fit in memory."""
    arrays = info.context
    assert isinstance(arrays, Arrays)
    if isinstance(read, _Cells):
        # Each face is a side of a cell, and a cell has as many sides as corners.
        source = arrays.at_most(read.source, read.corners.size)
        target, group = arrays(read.target, source.size), arrays.at_most(read.group, source.size)
        described = {field.name: getattr(read, field.name) for field in fields(CellMesh)}
        arrays.cells = len(read.corners)
        return CellMesh(**{**described, "source": source, "target": target, "group": group})
    if not len(read.shape) == len(read.lengths) == len(read.boundary):
        raise ValueError("shape, lengths and boundary differ in their number of axes")
    if any(lower != upper and PERIODIC in (lower, upper) for lower, upper in read.boundary):
        raise ValueError("an axis is periodic on one side only")
    arrays.cells = math.prod(read.shape)
    if arrays.cells > arrays.spelled_out:
        raise ValueError(f"{arrays.cells} cells are too many for a file of {arrays.spelled_out} numbers")
    return structured_mesh(read.shape, read.lengths, read.boundary)


@dataclass(frozen=True)
class _Channels(Stored):
    population: Name
    output: Annotated[int, Field(ge=0, lt=64)]
    source_holder: Name
    target_holder: Name
    source: str | None
    target: str | None


@dataclass(frozen=True)
class _Synapse(Stored):
    name: Name
    source: Name
    target: Name
    kind: Annotated[str, Field(max_length=64)]
    exponent: Integer32
    parts: Annotated[dict[str, str], Field(max_length=8)]
    port: Annotated[str, Field(max_length=64)] = ARRIVAL
    output: Annotated[int, Field(ge=0, lt=64)] = 0


@dataclass(frozen=True)
class _Notes(Stored):
    quantisation: Quantisation
    passes: Annotated[tuple[PassRecord, ...], Field(max_length=256)]


@dataclass(frozen=True)
class _Document(Stored):
    schema: Literal["pisnn-deploy/artifact"]
    version: Literal[6]
    spec: Annotated[ModelSpec | LawSpec, Field(discriminator="equation")]
    mesh: Annotated[Annotated[_Grid | _Cells, Field(discriminator="kind")], AfterValidator(_laid_out)]
    time_step: PositiveFloat
    populations: Annotated[tuple[Population, ...], Field(max_length=MOST_POPULATIONS)]
    fields: Annotated[tuple[ConservedField, ...], Field(max_length=MOST_POPULATIONS)]
    channels: Annotated[tuple[_Channels, ...], Field(max_length=MOST_POPULATIONS)]
    synapses: Annotated[tuple[_Synapse, ...], Field(max_length=1024)]
    operator: Annotated[tuple[IntegerLayer, ...], Field(max_length=9)]
    materials: Materials | None
    coding: Literal["delta", "dense"] | None
    period: Integer32 | None
    bounds: Annotated[tuple[Bound, ...], Field(max_length=4096)]
    placement: Placement | None
    profile: Annotated[str, Field(max_length=256)]
    noted: _Notes


_ALONE: tuple[str, ...] = ("spec", "time_step", "populations", "fields", "operator", "materials", "coding", "period")
_ALONE += ("bounds", "placement", "profile")
"""Attributes of a graph that its document stores unchanged."""


@cache
def _reader(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def document(graph: IntegerGraph) -> tuple[Plain, Plain, dict[str, Integers]]:
    """Split a graph into plain data and arrays.

    Returns
    -------
    described : dict
        For ``graph.json``.
    certificate : dict
        For ``certificate.json``; empty if nothing was proved.
    arrays : dict of str to int64 array
        By the name of the member under ``arrays/``: the path that leads to it in `described`.
    """
    arrays: dict[str, Integers] = {}
    mesh = graph.mesh
    described: Plain = {
        "schema": SCHEMA,
        "version": VERSION,
        **{name: plain(getattr(graph, name), (name,), arrays) for name in _ALONE},
        "mesh": _described_mesh(mesh, arrays),
        "synapses": [_described_synapse(synapse, mesh, arrays) for synapse in graph.synapses],
        "channels": [_described_channels(n, channels, mesh, arrays) for n, channels in enumerate(graph.channels)],
        "noted": {
            "quantisation": plain(graph.quantisation, (), arrays),
            "passes": [asdict(record) for record in graph.history],
        },
    }
    return described, {} if graph.certificate is None else plain(graph.certificate, (), arrays), arrays


def graph_from_document(described: Plain, certificate: Plain, arrays: Mapping[str, Integers | Runs]) -> IntegerGraph:
    """Rebuild a graph; the inverse of `document`.

    Parameters
    ----------
    arrays : mapping of str to int64 array or Runs
        Runs are expanded once they are known to be as long as the graph says.

    Returns
    -------
    IntegerGraph
        Not yet checked by `pisnn_deploy.graph.wellformed.defects`.

    Raises
    ------
    pydantic.ValidationError
        A field is missing, unknown, or not what it must be.
    ValueError
        An array is missing, has the wrong number of dimensions, or is not one of the graph's; runs of another length
        than the graph says.
    """
    take = Arrays(arrays)
    try:
        read = _reader(_Document).validate_json(json.dumps(described), context=take)
        graph = IntegerGraph(
            **{name: getattr(read, name) for name in _ALONE},
            mesh=read.mesh,
            synapses=tuple(_read_synapse(synapse, read.mesh, take) for synapse in read.synapses),
            channels=tuple(_read_channels(channels, read.mesh, take) for channels in read.channels),
            quantisation=read.noted.quantisation,
            certificate=certificate_from(certificate),
            history=read.noted.passes,
        )
        take.require_all_taken()
    except ArrayError as error:
        raise ValueError(str(error)) from error
    return graph


_EQUAL_SHARES = "shares"
"""Method of the claim of artifacts whose faces withhold packets by the masses at their ends alone."""


def certificate_from(plain_certificate: Plain) -> Certificate | None:
    """Build the certificate from plain data; None if that is empty.

    Raises
    ------
    pydantic.ValidationError
        A claim is missing, unknown, or not what it must be.
    ValueError
        The artifact has the limiter of equal shares, which came before flux-corrected transport.
    """
    if not plain_certificate:
        return None
    positivity = plain_certificate.get("positivity")
    if isinstance(positivity, dict) and positivity.get("method") == _EQUAL_SHARES:
        raise ValueError("certificate.json: positivity: a limiter of equal shares is not supported")
    certificate: Certificate = _reader(Certificate).validate_json(json.dumps(plain_certificate))
    return certificate


def _described_mesh(mesh: FaceMesh, arrays: dict[str, Integers]) -> Plain:
    grid = mesh.grid
    if grid is None:
        return {"kind": "cells", **plain(mesh, ("mesh",), arrays)}
    shape, lengths, boundary = list(grid.shape), list(grid.lengths), [list(sides) for sides in grid.boundary]
    return {"kind": "structured", "shape": shape, "lengths": lengths, "boundary": boundary}


def _described_channels(number: int, channels: Channels, mesh: FaceMesh, arrays: dict[str, Integers]) -> Plain:
    if np.array_equal(channels.source, mesh.source) and np.array_equal(channels.target, mesh.target):
        return {**plain(channels, (), {}), "source": None, "target": None}
    described: Plain = plain(channels, ("channels", str(number)), arrays)
    return described


def _read_channels(read: _Channels, mesh: FaceMesh, take: Arrays) -> Channels:
    size = take.sizes.get(read.population, 0)
    source = mesh.source if read.source is None else take(read.source, size)
    target = mesh.target if read.target is None else take(read.target, size)
    return Channels(read.population, read.source_holder, read.target_holder, source, target, read.output)


def _described_synapse(synapse: Synapse, mesh: FaceMesh, arrays: dict[str, Integers]) -> Plain:
    kind, parts = synapse.connections.described(mesh)
    return {
        "name": synapse.name,
        "source": synapse.source,
        "target": synapse.target,
        "kind": kind,
        "exponent": synapse.exponent,
        "port": synapse.port,
        "output": synapse.output,
        "parts": plain(parts, ("synapses", synapse.name, "parts"), arrays),
    }


def _read_synapse(read: _Synapse, mesh: FaceMesh, take: Arrays) -> Synapse:
    where = f"synapse {read.name}"
    for end in (read.source, read.target):
        if end not in take.sizes:
            raise ValueError(f"{where}: there is no population {end}")
    if read.kind not in KINDS:
        raise ValueError(f"{where}: there are no connections of kind {read.kind!r}; known are {', '.join(KINDS)}")
    names, connect = KINDS[read.kind]
    if set(read.parts) != set(names):
        raise ValueError(f"{where}: {read.kind} expected the parts {', '.join(names)}, found {', '.join(read.parts)}")
    try:
        place = Place(mesh, take.sizes[read.source], take.sizes[read.target], read.target)
        connections = connect(read.parts, take, place)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    return Synapse(read.name, read.source, read.target, connections, read.exponent, read.port, read.output)
