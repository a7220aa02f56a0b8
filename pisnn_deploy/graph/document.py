"""The integer graph as plain data: ``graph.json``, ``certificate.json`` and named integer arrays."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pisnn_deploy.graph.integer import (
    FLUX,
    MEMBRANE,
    UTILISATION,
    Bound,
    Certificate,
    Claim,
    Flux,
    IntegerGraph,
    IntegerLayer,
    Integers,
    Membrane,
    OperatingWindow,
    PassRecord,
    Placement,
    Quantisation,
    Rectifier,
    Synapse,
)
from pisnn_deploy.mesh import PERIODIC, Mesh, Side
from pisnn_deploy.mesh.boundary import MAXIMUM_CELLS
from pisnn_deploy.model import FiniteFloat, ModelSpec, PositiveFloat

SCHEMA = "pisnn-deploy/artifact"
VERSION = 2

Count = Annotated[int, Field(ge=0, le=MAXIMUM_CELLS)]
Integer64 = Annotated[int, Field(ge=-(2**62), le=2**62)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


_Sides = Annotated[list[Side], Field(min_length=2, max_length=2)]


class _Mesh(_Strict):
    shape: Annotated[list[Annotated[int, Field(ge=1, le=MAXIMUM_CELLS)]], Field(min_length=1, max_length=3)]
    lengths: Annotated[list[PositiveFloat], Field(min_length=1, max_length=3)]
    boundary: Annotated[list[_Sides], Field(min_length=1, max_length=3)]


class _Hidden(_Strict):
    name: Name
    shift: int


class _Flux(_Strict):
    threshold_exponent: int
    leak: int


class _Synapse(_Strict):
    name: Name
    source: Name
    target: Name
    inputs: Count
    exponent: int


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
    bits: int


class _Quantisation(_Strict):
    steps: Annotated[int, Field(ge=0)]
    relative_l2_float: FiniteFloat | None
    relative_l2_integer: FiniteFloat | None
    kernel_rounded: list[int]
    kernel_chosen: list[int]
    symbol_error_rounded: FiniteFloat | None
    symbol_error_chosen: FiniteFloat | None


class _Placement(_Strict):
    cores: Annotated[int, Field(ge=1, le=1 << 24)]
    chips: Annotated[int, Field(ge=1, le=1 << 20)]
    method: Literal["blocks", "metis", "index"]


class _Record(_Strict):
    text: str
    summary: str


class _Document(_Strict):
    schema_: Literal["pisnn-deploy/artifact"] = Field(alias="schema")
    version: Literal[2]
    spec: dict[str, Any]
    mesh: _Mesh
    quantum: PositiveFloat
    time_step: PositiveFloat
    hidden: Annotated[list[_Hidden], Field(max_length=8)]
    flux: _Flux
    synapses: Annotated[list[_Synapse], Field(max_length=1024)]
    operator: Annotated[list[_Layer], Field(max_length=9)]
    window: _Window
    quantisation: _Quantisation
    coding: Literal["delta", "dense"] | None
    period: int | None
    bounds: Annotated[list[_Bound], Field(max_length=4096)]
    placement: _Placement | None
    profile: Annotated[str, Field(max_length=256)]
    passes: Annotated[list[_Record], Field(max_length=256)]


class _Claim(_Strict):
    status: Literal["proved", "assumed", "none"]
    details: str


class _Certificate(_Strict):
    conservation: _Claim
    overflow: _Claim
    stability: _Claim


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
    mesh, quantisation = graph.mesh, graph.quantisation
    described: dict[str, Any] = {
        "schema": SCHEMA,
        "version": VERSION,
        "spec": graph.spec.model_dump(mode="json"),
        "mesh": {
            "shape": list(mesh.shape),
            "lengths": list(mesh.lengths),
            "boundary": [list(s) for s in mesh.boundary],
        },
        "quantum": graph.quantum,
        "time_step": graph.time_step,
        "hidden": [{"name": p.name, "shift": p.shift} for p in graph.hidden],
        "flux": {"threshold_exponent": graph.flux.threshold_exponent, "leak": graph.flux.leak},
        "synapses": [
            {"name": s.name, "source": s.source, "target": s.target, "inputs": s.inputs, "exponent": s.exponent}
            for s in graph.synapses
        ],
        "operator": [{"shift": layer.shift} for layer in graph.operator],
        "window": vars(graph.window).copy(),
        "quantisation": {
            **vars(quantisation),
            "kernel_rounded": list(quantisation.kernel_rounded),
            "kernel_chosen": list(quantisation.kernel_chosen),
        },
        "coding": graph.coding,
        "period": graph.period,
        "bounds": [vars(bound).copy() for bound in graph.bounds],
        "placement": graph.placement
        and {"cores": graph.placement.cores, "chips": graph.placement.chips, "method": graph.placement.method},
        "profile": graph.profile,
        "passes": [{"text": record.text, "summary": record.summary} for record in graph.history],
    }
    arrays = {
        "mesh.source": mesh.source,
        "mesh.target": mesh.target,
        "mesh.axis": mesh.axis,
        "membrane.initial": graph.membrane.initial,
        "membrane.reservoirs": graph.membrane.reservoirs,
        "flux.bias": graph.flux.bias,
    }
    for population in graph.hidden:
        arrays[f"{population.name}.bias"] = population.bias
    for synapse in graph.synapses:
        arrays[f"{synapse.name}.row_starts"] = synapse.row_starts
        arrays[f"{synapse.name}.columns"] = synapse.columns
        arrays[f"{synapse.name}.mantissas"] = synapse.mantissas
    for number, layer in enumerate(graph.operator):
        arrays[f"operator{number}.weight"] = layer.weight
        arrays[f"operator{number}.bias"] = layer.bias
    if graph.placement is not None:
        arrays |= _placement_arrays(graph.placement)
    certificate: dict[str, Any] = {}
    if graph.certificate is not None:
        certificate = {name: vars(claim).copy() for name, claim in vars(graph.certificate).items()}
    return described, certificate, arrays


def graph_from_document(
    described: dict[str, Any], certificate: dict[str, Any], arrays: dict[str, Integers]
) -> IntegerGraph:
    """Put a graph together again; the inverse of `document`.

    Parameters
    ----------
    described, certificate : dict
    arrays : dict of str to int64 array

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
        An array has the wrong number of dimensions, or is not one of the graph's.
    """
    read = _Document.model_validate(described)
    take = _Arrays(arrays)
    membrane = Membrane(take("membrane.initial"), take("membrane.reservoirs"))
    if math.prod(read.mesh.shape) != membrane.initial.size:
        # Before anything is built from the shape: a few digits could claim more cells than there is memory for.
        raise ValueError(
            f"arrays/membrane.initial.npy has {membrane.initial.size} cells, the mesh {math.prod(read.mesh.shape)}"
        )
    mesh = _read_mesh(read.mesh, take)
    hidden = tuple(Rectifier(p.name, take(f"{p.name}.bias"), p.shift) for p in read.hidden)
    graph = IntegerGraph(
        spec=ModelSpec.model_validate(read.spec),
        mesh=mesh,
        quantum=read.quantum,
        time_step=read.time_step,
        membrane=membrane,
        hidden=hidden,
        flux=Flux(take("flux.bias"), read.flux.threshold_exponent, read.flux.leak),
        synapses=tuple(_read_synapse(synapse, take) for synapse in read.synapses),
        window=OperatingWindow(read.window.lower, read.window.upper, read.window.difference, read.window.current),
        quantisation=_read_quantisation(read.quantisation),
        operator=tuple(
            IntegerLayer(take(f"operator{n}.weight", 2), take(f"operator{n}.bias"), layer.shift)
            for n, layer in enumerate(read.operator)
        ),
        coding=read.coding,
        period=read.period,
        bounds=tuple(Bound(b.population, b.quantity, b.lower, b.upper, b.bits) for b in read.bounds),
        certificate=_read_certificate(certificate),
        placement=_read_placement(
            read.placement, (MEMBRANE, *(p.name for p in hidden), FLUX), [s.name for s in read.synapses], take
        ),
        profile=read.profile,
        history=tuple(PassRecord(r.text, r.summary) for r in read.passes),
    )
    take.require_all_taken()
    return graph


class _Arrays:
    """The arrays of an artifact, each to be taken once."""

    def __init__(self, arrays: dict[str, Integers]) -> None:
        self._rest = dict(arrays)

    def __call__(self, name: str, dimensions: int = 1) -> Integers:
        array = self._rest.pop(name)
        if array.ndim != dimensions:
            raise ValueError(f"arrays/{name}.npy has {array.ndim} dimensions, it must have {dimensions}")
        return array

    def require_all_taken(self) -> None:
        if self._rest:
            raise ValueError(f"arrays/{min(self._rest)}.npy does not belong to the graph")


def _read_mesh(read: _Mesh, take: _Arrays) -> Mesh:
    if not len(read.shape) == len(read.lengths) == len(read.boundary):
        raise ValueError("mesh: shape, lengths and boundary differ in their number of axes")
    if any(lower != upper and PERIODIC in (lower, upper) for lower, upper in read.boundary):
        raise ValueError("mesh: an axis is periodic at one side only")
    shape, lengths = tuple(read.shape), tuple(read.lengths)
    boundary = tuple((lower, upper) for lower, upper in read.boundary)
    return Mesh(shape, lengths, boundary, take("mesh.source"), take("mesh.target"), take("mesh.axis"))


def _read_synapse(read: _Synapse, take: _Arrays) -> Synapse:
    starts, columns, mantissas = (take(f"{read.name}.{part}") for part in ("row_starts", "columns", "mantissas"))
    if starts.size == 0:
        raise ValueError(f"synapse {read.name} has no row_starts")
    return Synapse(read.name, read.source, read.target, starts, columns, mantissas, read.inputs, read.exponent)


def _read_quantisation(read: _Quantisation) -> Quantisation:
    return Quantisation(
        read.steps,
        read.relative_l2_float,
        read.relative_l2_integer,
        tuple(read.kernel_rounded),
        tuple(read.kernel_chosen),
        read.symbol_error_rounded,
        read.symbol_error_chosen,
    )


def _read_certificate(certificate: dict[str, Any]) -> Certificate | None:
    if not certificate:
        return None
    read = _Certificate.model_validate(certificate)
    claims = (read.conservation, read.overflow, read.stability)
    return Certificate(*(Claim(claim.status, claim.details) for claim in claims))


def _placement_arrays(placement: Placement) -> dict[str, Integers]:
    arrays = {f"placement.{name}": cores for name, cores in placement.core.items()}
    arrays["placement.chip"] = placement.chip
    arrays |= {f"axons.{name}": runs for name, runs in placement.axons.items()}
    arrays |= {f"utilisation.{name}": uses for name, uses in placement.utilisation.items()}
    return arrays


def _read_placement(
    read: _Placement | None, populations: tuple[str, ...], synapses: list[str], take: _Arrays
) -> Placement | None:
    if read is None:
        return None
    return Placement(
        {name: take(f"placement.{name}") for name in populations},
        read.cores,
        read.chips,
        take("placement.chip"),
        read.method,
        {name: take(f"axons.{name}", 2) for name in synapses},
        {name: take(f"utilisation.{name}") for name in UTILISATION},
    )
