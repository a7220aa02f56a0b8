"""The integer graph as plain data: ``graph.json``, ``certificate.json`` and named integer arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph import kinds
from pisnn_deploy.graph.claims import Certificate, Claim, Method, Status
from pisnn_deploy.graph.connections import Blocks, Connections, Ends, Explicit, Incidence, Stencil
from pisnn_deploy.graph.fields import Field as ConservedField
from pisnn_deploy.graph.fields import equal_volumes
from pisnn_deploy.graph.integer import (
    ARRIVAL,
    FIELD,
    MEMBRANE,
    UTILISATION,
    Bound,
    Floats,
    Flux,
    IntegerGraph,
    IntegerLayer,
    Integers,
    Materials,
    OperatingWindow,
    PassRecord,
    Placement,
    Population,
    Quantisation,
    Synapse,
)
from pisnn_deploy.graph.runs import Runs
from pisnn_deploy.mesh import PERIODIC, Boxes, CellMesh, Mesh, Side, structured_mesh
from pisnn_deploy.mesh.boundary import MAXIMUM_CELLS
from pisnn_deploy.physics.model import FiniteFloat, ModelSpec, PositiveFloat

LARGEST_MANTISSA = 256
"""Of any target's weights; larger ones could not be multiplied without wrapping."""
SCHEMA = "pisnn-deploy/artifact"
VERSION = 5
BITS = ("membrane.held", "mesh.points", "materials.conductivity", "materials.capacity")
"""Arrays of float64 numbers, each stored as the integer that its 64 bits are."""

Count = Annotated[int, Field(ge=0, le=MAXIMUM_CELLS)]
Integer64 = Annotated[int, Field(ge=-(2**62), le=2**62)]
Integer32 = Annotated[int, Field(ge=-(2**31), le=2**31)]
Label = Annotated[str, Field(min_length=1, max_length=256)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


_Sides = Annotated[list[Side], Field(min_length=2, max_length=2)]


class _CellMesh(_Strict):
    kind: Literal["cells"]
    material_names: Annotated[list[Label], Field(max_length=4096)]
    group_names: Annotated[list[Label], Field(max_length=4096)]


class _Medium(_Strict):
    unit_volume: PositiveFloat


class _Mesh(_Strict):
    kind: Literal["structured"]
    shape: Annotated[list[Annotated[int, Field(ge=1, le=MAXIMUM_CELLS)]], Field(min_length=1, max_length=3)]
    lengths: Annotated[list[PositiveFloat], Field(min_length=1, max_length=3)]
    boundary: Annotated[list[_Sides], Field(min_length=1, max_length=3)]


class _Hidden(_Strict):
    name: Name
    shift: Integer32


class _Flux(_Strict):
    threshold_exponent: Integer32
    leak: Integer32
    share_shift: Annotated[int, Field(ge=0, le=30)] | None = None


class _Synapse(_Strict):
    name: Name
    source: Name
    target: Name
    kind: Literal["explicit", "stencil", "blocks", "incidence", "ends"]
    exponent: Integer32
    port: Literal["", "source", "target"] = ""


class _Layer(_Strict):
    shift: Annotated[int, Field(ge=0, le=30)]


class _Window(_Strict):
    lower: Integer64
    upper: Integer64
    difference: Integer64 | None
    current: Integer64 | None


class _Bound(_Strict):
    population: Name
    quantity: Name
    lower: Integer64
    upper: Integer64
    bits: Integer32


class _Quantisation(_Strict):
    steps: Annotated[int, Field(ge=0, le=2**62)]
    relative_l2_float: FiniteFloat | None
    relative_l2_integer: FiniteFloat | None
    kernel_rounded: Annotated[list[Integer64], Field(max_length=4096)]
    kernel_chosen: Annotated[list[Integer64], Field(max_length=4096)]
    symbol_error_rounded: FiniteFloat | None
    symbol_error_chosen: FiniteFloat | None
    relative_l2_rounded: FiniteFloat | None


class _Placement(_Strict):
    cores: Annotated[int, Field(ge=1, le=1 << 24)]
    chips: Annotated[int, Field(ge=1, le=1 << 20)]
    method: Literal["blocks", "metis", "index"]


class _Stock(_Strict):
    send_threshold: Annotated[int, Field(ge=1, le=1 << 30)]


class _Record(_Strict):
    text: str
    summary: str


class _Noted(_Strict):
    quantisation: _Quantisation
    passes: Annotated[list[_Record], Field(max_length=256)]


class _Document(_Strict):
    schema_: Literal["pisnn-deploy/artifact"] = Field(alias="schema")
    version: Literal[5]
    spec: dict[str, Any]
    mesh: Annotated[_Mesh | _CellMesh, Field(discriminator="kind")]
    medium: _Medium | None
    materials: bool
    quantum: PositiveFloat
    time_step: PositiveFloat
    hidden: Annotated[list[_Hidden], Field(max_length=8)]
    flux: _Flux
    synapses: Annotated[list[_Synapse], Field(max_length=1024)]
    operator: Annotated[list[_Layer], Field(max_length=9)]
    window: _Window
    coding: Literal["delta", "dense"] | None
    binary: Annotated[dict[Name, Annotated[int, Field(ge=1, le=32)]], Field(max_length=16)]
    period: Integer32 | None
    bounds: Annotated[list[_Bound], Field(max_length=4096)]
    placement: _Placement | None
    stock: _Stock | None = None
    profile: Annotated[str, Field(max_length=256)]
    noted: _Noted


_FigureName = Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,63}$")]


class _Claim(_Strict):
    status: Status
    method: Method
    figures: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,63}$")], Integer64 | FiniteFloat], Field(max_length=64)
    ]


class _Certificate(_Strict):
    conservation: _Claim
    overflow: _Claim
    stability: _Claim
    positivity: _Claim | None = None
    equation: _Claim | None = None


def document(graph: IntegerGraph) -> tuple[dict[str, Any], dict[str, Any], dict[str, Integers]]:
    """Take a graph apart.

    Parameters
    ----------
    graph : IntegerGraph

    Returns
    -------
    described : dict
        For ``graph.json``.
    certificate : dict
        For ``certificate.json``; empty if nothing was proved.
    arrays : dict of str to int64 array
        By the name of the member under ``arrays/``.
    """
    mesh = graph.mesh
    described: dict[str, Any] = {
        "schema": SCHEMA,
        "version": VERSION,
        "spec": graph.spec.model_dump(mode="json"),
        "mesh": _described_mesh(mesh),
        "medium": None if graph.medium is None else {"unit_volume": graph.medium.unit_volume},
        "materials": graph.materials is not None,
        "quantum": graph.quantum,
        "time_step": graph.time_step,
        "hidden": [{"name": p.name, "shift": p.shift} for p in graph.hidden],
        "flux": _described_flux(graph.flux),
        "synapses": [
            {
                "name": s.name,
                "source": s.source,
                "target": s.target,
                "kind": _KINDS[type(s.connections)],
                "exponent": s.exponent,
            }
            | ({} if s.port == ARRIVAL else {"port": s.port.removesuffix("_mass")})
            for s in graph.synapses
        ],
        "operator": [{"shift": layer.shift} for layer in graph.operator],
        "window": vars(graph.window).copy(),
        "coding": graph.coding,
        "binary": dict(graph.binary),
        "period": graph.period,
        "bounds": [vars(bound).copy() for bound in graph.bounds],
        "placement": graph.placement
        and {"cores": graph.placement.cores, "chips": graph.placement.chips, "method": graph.placement.method},
        "profile": graph.profile,
        "noted": _described_notes(graph),
    }
    if graph.stock is not None:
        described["stock"] = vars(graph.stock).copy()
    arrays = {
        "membrane.initial": graph.membrane.initial,
        "membrane.reservoirs": graph.membrane.reservoirs,
        "membrane.held": _bits(graph.membrane.held),
        "flux.bias": graph.flux.bias,
    }
    if isinstance(mesh, CellMesh):
        arrays |= {f"mesh.{name}": getattr(mesh, name) for name in CELL_MESH_ARRAYS}
        arrays["mesh.points"] = _bits(mesh.points)
    if graph.medium is not None:
        arrays["medium.inverse_volume"] = graph.medium.inverse_volume
    if graph.materials is not None:
        arrays |= {f"materials.{name}": _bits(values) for name, values in vars(graph.materials).items()}
    for population in graph.hidden:
        arrays[f"{population.name}.bias"] = population.bias
    for synapse in graph.synapses:
        arrays |= {f"{synapse.name}.{part}": array for part, array in _parts(synapse.connections).items()}
    for number, layer in enumerate(graph.operator):
        arrays[f"operator{number}.weight"] = layer.weight
        arrays[f"operator{number}.bias"] = layer.bias
    if graph.placement is not None:
        arrays |= _placement_arrays(graph.placement)
    certificate: dict[str, Any] = {}
    if graph.certificate is not None:
        certificate = {
            name: {"status": claim.status, "method": claim.method, "figures": dict(claim.figures)}
            for name, claim in graph.certificate.claims.items()
        }
    return described, certificate, arrays


def graph_from_document(
    described: dict[str, Any], certificate: dict[str, Any], arrays: Mapping[str, Integers | Runs]
) -> IntegerGraph:
    """Put a graph together again; the inverse of `document`.

    Parameters
    ----------
    described, certificate : dict
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
    KeyError
        An array is missing; its argument is the array's name.
    ValueError
        An array has the wrong number of dimensions, runs of another length than the graph says, or an array is not
        one of the graph's.
    """
    read = _Document.model_validate(described)
    take = _Arrays(arrays)
    initial = take.at_most("membrane.initial", MAXIMUM_CELLS)
    if isinstance(read.mesh, _CellMesh):
        mesh: Mesh | CellMesh = _read_cell_mesh(read.mesh, take)
    else:
        if math.prod(read.mesh.shape) != initial.size:
            # Before anything is built from the shape: a few digits could claim more cells than there is memory for.
            raise ValueError(
                f"arrays/membrane.initial.npy has {initial.size} cells, the mesh {math.prod(read.mesh.shape)}"
            )
        mesh = _read_mesh(read.mesh)
    reservoirs, held = take("membrane.reservoirs", mesh.reservoirs), _doubles(take("membrane.held", mesh.reservoirs))
    operator = tuple(_read_layer(number, layer, take) for number, layer in enumerate(read.operator))
    neurons = [mesh.faces * len(layer.weight) for layer in operator] or [mesh.cells] * len(read.hidden)
    volumes, unit = _read_medium(read.medium, mesh, take)
    window = OperatingWindow(read.window.lower, read.window.upper, read.window.difference, read.window.current)
    field = ConservedField(FIELD, MEMBRANE, read.quantum, window, volumes, unit, reservoirs, held)
    try:
        populations = (
            kinds.holders(field, initial),
            *(
                kinds.rectifiers(p.name, take(f"{p.name}.bias", neurons[n] if n < len(neurons) else 0), p.shift)
                for n, p in enumerate(read.hidden)
            ),
            _read_faces(read, mesh, take("flux.bias", mesh.faces)),
        )
    except UsageError as error:
        raise ValueError(str(error)) from error
    sizes = {population.name: population.size for population in populations}
    graph = IntegerGraph(
        spec=ModelSpec.model_validate(read.spec),
        mesh=mesh,
        time_step=read.time_step,
        populations=tuple(replace(p, lines=read.binary.get(p.name, 0)) for p in populations),
        synapses=tuple(_read_synapse(synapse, mesh, sizes, take) for synapse in read.synapses),
        fields=(field,),
        channels=(kinds.face_channels(mesh),),
        quantisation=_read_quantisation(read.noted.quantisation),
        operator=operator,
        coding=read.coding,
        period=read.period,
        bounds=tuple(Bound(b.population, b.quantity, b.lower, b.upper, b.bits) for b in read.bounds),
        certificate=_read_certificate(certificate),
        placement=_read_placement(read.placement, sizes, [s.name for s in read.synapses], take),
        profile=read.profile,
        materials=_read_materials(mesh.cells, take) if read.materials else None,
        history=tuple(PassRecord.read(r.text, r.summary) for r in read.noted.passes),
    )
    take.require_all_taken()
    return graph


class _Arrays:
    """The arrays of an artifact, each to be taken once."""

    def __init__(self, arrays: Mapping[str, Integers | Runs]) -> None:
        self._rest = dict(arrays)

    def __call__(self, name: str, size: int) -> Integers:
        """A list of so many numbers; one that is spelled out is as long as it is, and judged with the graph."""
        array = self._taken(name, 1)
        if isinstance(array, Runs) and array.size != size:
            raise ValueError(f"arrays/{name}.runs.npy has {array.size} numbers, the graph {size}")
        return _expanded(array)

    def at_most(self, name: str, most: int) -> Integers:
        """A list that is no longer than that, where nothing else says its length."""
        array = self._taken(name, 1)
        if isinstance(array, Runs) and array.size > most:
            raise ValueError(f"arrays/{name}.runs.npy has {array.size} numbers, of {most} at most")
        return _expanded(array)

    def columns(self, name: str, rows: int) -> Integers:
        """A list whose numbers ascend within each of so many rows: equal ones beside each other are of two rows."""
        array = self._taken(name, 1)
        if isinstance(array, Runs) and array.size > rows + array.fewest:
            raise ValueError(f"arrays/{name}.runs.npy has {array.size} numbers, some of them equal within a row")
        return _expanded(array)

    def table(self, name: str) -> Integers:
        """A table, which is always spelled out."""
        return _expanded(self._taken(name, 2))

    def _taken(self, name: str, dimensions: int) -> Integers | Runs:
        array = self._rest.pop(name)
        if array.ndim != dimensions:
            raise ValueError(f"arrays/{name}.npy has {array.ndim} dimensions, it must have {dimensions}")
        return array

    def require_all_taken(self) -> None:
        if self._rest:
            name = min(self._rest)
            ending = ".runs.npy" if isinstance(self._rest[name], Runs) else ".npy"
            raise ValueError(f"arrays/{name}{ending} does not belong to the graph")


def _expanded(array: Integers | Runs) -> Integers:
    return array.expanded() if isinstance(array, Runs) else array


def _read_layer(number: int, read: _Layer, take: _Arrays) -> IntegerLayer:
    weight = take.table(f"operator{number}.weight")
    return IntegerLayer(weight, take(f"operator{number}.bias", len(weight)), read.shift)


def _read_medium(read: _Medium | None, mesh: Mesh | CellMesh, take: _Arrays) -> tuple[Integers, float]:
    if read is not None:
        return take("medium.inverse_volume", mesh.cells), read.unit_volume
    if isinstance(mesh, CellMesh):
        raise ValueError("a graph on cells of any shape has no medium")
    return equal_volumes(mesh.cells), mesh.volume


def _read_faces(read: _Document, mesh: Mesh | CellMesh, bias: Integers) -> Population:
    if bias.size != mesh.faces:
        raise ValueError(f"flux has {bias.size} compartments for {mesh.faces} faces")
    if read.stock is not None:
        if bias.any() or read.flux.leak != MEMORYLESS:
            raise ValueError("a graph of stock processes has a bias or a leak")
        return kinds.late_faces(mesh, read.stock.send_threshold, read.flux.threshold_exponent)
    return kinds.faces(mesh, bias, read.flux.threshold_exponent, read.flux.leak, read.flux.share_shift)


def _read_materials(cells: int, take: _Arrays) -> Materials:
    conductivity, capacity = (_doubles(take(f"materials.{name}", cells)) for name in ("conductivity", "capacity"))
    return Materials(conductivity, capacity)


def _bits(values: Floats) -> Integers:
    return np.ascontiguousarray(values, np.float64).view(np.int64)


def _doubles(bits: Integers) -> Floats:
    return np.ascontiguousarray(bits).view(np.float64)


def _described_notes(graph: IntegerGraph) -> dict[str, Any]:
    quantisation = graph.quantisation
    return {
        "quantisation": {
            **vars(quantisation),
            "kernel_rounded": list(quantisation.kernel_rounded),
            "kernel_chosen": list(quantisation.kernel_chosen),
        },
        "passes": [{"text": record.text, "summary": record.summary} for record in graph.history],
    }


def _described_flux(flux: Flux) -> dict[str, int]:
    limiter = {} if flux.share_shift is None else {"share_shift": flux.share_shift}
    return {"threshold_exponent": flux.threshold_exponent, "leak": flux.leak} | limiter


def _described_mesh(mesh: Mesh | CellMesh) -> dict[str, Any]:
    if isinstance(mesh, CellMesh):
        return {
            "kind": "cells",
            "material_names": list(mesh.material_names),
            "group_names": list(mesh.group_names),
        }
    return {
        "kind": "structured",
        "shape": list(mesh.shape),
        "lengths": list(mesh.lengths),
        "boundary": [list(s) for s in mesh.boundary],
    }


CELL_MESH_ARRAYS = ("corners", "source", "target", "face_corners", "material", "group")
"""Integer arrays of an unstructured mesh."""


def _read_cell_mesh(read: _CellMesh, take: _Arrays) -> CellMesh:
    points, corners = _doubles(take.table("mesh.points")), take.table("mesh.corners")
    # Each face is one of the sides of a cell, of which there are as many as corners.
    source = take.at_most("mesh.source", corners.size)
    return CellMesh(
        points=points,
        corners=corners,
        source=source,
        target=take("mesh.target", source.size),
        face_corners=take.table("mesh.face_corners"),
        material=take("mesh.material", len(corners)),
        material_names=tuple(read.material_names),
        group=take.at_most("mesh.group", source.size),
        group_names=tuple(read.group_names),
    )


def _read_mesh(read: _Mesh) -> Mesh:
    if not len(read.shape) == len(read.lengths) == len(read.boundary):
        raise ValueError("mesh: shape, lengths and boundary differ in their number of axes")
    if any(lower != upper and PERIODIC in (lower, upper) for lower, upper in read.boundary):
        raise ValueError("mesh: an axis is periodic at one side only")
    return structured_mesh(
        tuple(read.shape), tuple(read.lengths), tuple((lower, upper) for lower, upper in read.boundary)
    )


_KINDS = {Explicit: "explicit", Stencil: "stencil", Blocks: "blocks", Incidence: "incidence", Ends: "ends"}


def _parts(connections: Connections) -> dict[str, Integers]:
    if isinstance(connections, Explicit):
        return {"row_starts": connections.starts, "columns": connections.columns, "mantissas": connections.values}
    if isinstance(connections, Stencil):
        boxes = connections.boxes
        return {
            "boxes": np.column_stack([boxes.axis, boxes.lower, boxes.shape]),
            "row_starts": connections.starts,
            "offsets": connections.offsets,
            "mantissas": connections.values,
        }
    if isinstance(connections, Blocks):
        return {"mantissas": connections.block}
    return {"mantissas": np.array([connections.value], np.int64)}


def _read_synapse(read: _Synapse, mesh: Mesh | CellMesh, sizes: dict[str, int], take: _Arrays) -> Synapse:
    for end in (read.source, read.target):
        if end not in sizes:
            raise ValueError(f"synapse {read.name}: there is no population {end}")
    connections = _read_connections(read, mesh, sizes, take)
    port = f"{read.port}_mass" if read.port else ARRIVAL
    return Synapse(read.name, read.source, read.target, connections, read.exponent, port)


def _read_connections(read: _Synapse, mesh: Mesh | CellMesh, sizes: dict[str, int], take: _Arrays) -> Connections:
    where = f"synapse {read.name}"
    if read.kind == "explicit":
        rows = sizes[read.target]
        starts, columns = take(f"{read.name}.row_starts", rows + 1), take.columns(f"{read.name}.columns", rows)
        mantissas = take(f"{read.name}.mantissas", columns.size)
        if starts.size == 0:
            raise ValueError(f"{where} has no row_starts")
        return Explicit(starts, columns, mantissas, sizes[read.source])
    if read.kind in ("incidence", "ends"):
        value = take(f"{read.name}.mantissas", 1)
        if value.size != 1 or abs(int(value[0])) > LARGEST_MANTISSA:
            raise ValueError(f"{where}: one mantissa of at most {LARGEST_MANTISSA} is expected")
        if read.kind == "incidence":
            return Incidence(mesh.source, mesh.target, mesh.holders, int(value[0]))
        if not read.port:
            raise ValueError(f"{where}: connections from the ends of faces must name a port")
        holder = mesh.source if read.port == "source" else mesh.target
        return Ends(holder, mesh.cells, mesh.holders, int(value[0]))
    per_face, rest = divmod(sizes[read.target], max(1, mesh.faces))
    if rest or not per_face:
        raise ValueError(f"{where}: {read.target} has not the same number of neurons at every face")
    if read.kind == "blocks":
        block = take.table(f"{read.name}.mantissas")
        if 0 in block.shape:
            raise ValueError(f"{where} has an empty block")
        return Blocks(block, mesh.faces)
    if isinstance(mesh, CellMesh):
        raise ValueError(f"{where} is a stencil, and the mesh is not structured")
    boxes, offsets = take.table(f"{read.name}.boxes"), take.table(f"{read.name}.offsets")
    starts = take(f"{read.name}.row_starts", len(boxes) * per_face + 1)
    mantissas = take(f"{read.name}.mantissas", len(offsets))
    axes = len(mesh.shape)
    if boxes.shape[1] != 1 + 2 * axes or offsets.shape[1] != axes or offsets.shape[0] != mantissas.size:
        raise ValueError(f"{where}: boxes, offsets and mantissas do not go together")
    corners = Boxes(boxes[:, 0], boxes[:, 1 : 1 + axes], boxes[:, 1 + axes :])
    return Stencil(mesh, corners, starts, offsets, mantissas, per_face)


def _read_quantisation(read: _Quantisation) -> Quantisation:
    return Quantisation(
        read.steps,
        read.relative_l2_float,
        read.relative_l2_integer,
        tuple(read.kernel_rounded),
        tuple(read.kernel_chosen),
        read.symbol_error_rounded,
        read.symbol_error_chosen,
        read.relative_l2_rounded,
    )


CLAIMS = ("conservation", "overflow", "stability", "positivity", "equation")


def _read_certificate(certificate: dict[str, Any]) -> Certificate | None:
    if not certificate:
        return None
    read = _Certificate.model_validate(certificate)
    claims = {name: getattr(read, name) for name in CLAIMS}
    return Certificate(
        **{name: Claim(one.status, one.method, one.figures) for name, one in claims.items() if one is not None}
    )


def _placement_arrays(placement: Placement) -> dict[str, Integers]:
    arrays = {f"placement.{name}": cores for name, cores in placement.core.items()}
    arrays["placement.chip"] = placement.chip
    arrays |= {f"axons.{name}": runs for name, runs in placement.axons.items()}
    arrays |= {f"utilisation.{name}": uses for name, uses in placement.utilisation.items()}
    return arrays


def _read_placement(
    read: _Placement | None, sizes: dict[str, int], synapses: list[str], take: _Arrays
) -> Placement | None:
    if read is None:
        return None
    if not read.chips <= read.cores <= sum(sizes.values()):
        raise ValueError(
            f"placement has {read.cores} cores on {read.chips} chips, and there are {sum(sizes.values())} neurons"
        )
    return Placement(
        {name: take(f"placement.{name}", size) for name, size in sizes.items()},
        read.cores,
        read.chips,
        take("placement.chip", read.cores),
        read.method,
        {name: take.table(f"axons.{name}") for name in synapses},
        {name: take(f"utilisation.{name}", read.cores) for name in UTILISATION},
    )
