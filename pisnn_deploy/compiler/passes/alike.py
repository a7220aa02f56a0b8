"""Integers of a two-point graph on a grid of equal cells: masses are values, so levels are not needed."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.arithmetic import signed_width
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.graph import CellGraph, IntegerGraph, OperatingWindow, Quantisation, TwoPointGraph, kinds
from pisnn_deploy.graph.connections import Connections, Explicit, Incidence
from pisnn_deploy.graph.fields import Field as ConservedField
from pisnn_deploy.graph.fields import equal_volumes
from pisnn_deploy.graph.integer import FIELD, FLUX, MEMBRANE
from pisnn_deploy.graph.layout import synapses
from pisnn_deploy.mesh import PERIODIC, FaceMesh, Mesh, face_grid
from pisnn_deploy.physics.model import Model, OperatingRange
from pisnn_deploy.programs.neurons import FaceConstants

Field = NDArray[np.float64]
Integers = NDArray[np.int64]
LARGEST_WEIGHT = 127 * 128 + 63
"""Largest weight that two synapses can hold."""
LARGEST_EXPONENT = 18
"""Largest threshold exponent: weights are then as large as synapses can hold on any grid."""
SAFETY_OF_ROUNDING = 0.95
"""Safety margin: rounding conductances up must not make a weight of the update too large."""
WITHOUT_RINGING = 0.5
"""Largest part of a cell's value that leaves it in a PDE step, so that no wave changes sign between steps."""
ROUNDING = 3
"""Quanta by which rounding may steepen a face, as in pass `quantise`."""
ALIKE = 1e-12
"""Relative tolerance within which capacities count as equal."""
FINEST_QUANTUM_EXPONENT = 40
SHORTEST = 0.9
"""Shortest time step, as a part of the longest, that conductances of a grid of one material may choose."""
MOST_MULTIPLES = 4096
"""Most time steps that are tried for it."""


def plain_model(
    model: Model, shape: tuple[int, ...], conductivity: Field | None, capacity: Field | None
) -> Model | None:
    """Model for a grid of one material: the given one with the material's diffusivity.

    Parameters
    ----------
    shape : tuple of int
        Cells along each axis.
    conductivity, capacity : float64 array or None
        Of each cell; a conductivity takes the place of the diffusivity.

    Returns
    -------
    Model or None
        None where cells differ, in their material or in their width along the axes: wide windows do not suit them.
    """
    spec = model.spec
    if (
        spec.equation != "diffusion"
        or len(shape) != len(spec.lengths)
        or (capacity is not None and (capacity != 1).any())
    ):
        return None
    widths = [length / count for length, count in zip(spec.lengths, shape, strict=True)]
    if max(widths) > min(widths) * (1 + ALIKE):
        return None
    if conductivity is None:
        return model
    diffusivity = float(conductivity.reshape(-1)[0])
    if (conductivity != diffusivity).any():
        return None
    return replace(model, spec=spec.model_copy(update={"diffusivity": diffusivity}))


def holds_alike(graph: CellGraph) -> bool:
    """Whether the mesh is a grid whose cells all have the same capacity."""
    low, high = float(graph.capacity.min()), float(graph.capacity.max())
    return graph.mesh.grid is not None and high <= low * (1 + ALIKE)


def quantise_alike(graph: TwoPointGraph, limits: OperatingRange, state_bits: int, pass_name: str) -> IntegerGraph:
    """Choose the integers of a graph whose cells have equal capacities.

    Conductances are rounded so that the resistances of each line of faces add up, from both of its ends inwards: what
    one face is rounded by is made up for by the next. The threshold is the one with which conductances and quantum
    cost least together, and the quantum is not finer than what conductances are rounded by.

    Parameters
    ----------
    graph : TwoPointGraph
        Graph on a grid with equal capacities.
    limits : OperatingRange
        Its slope, or its flux, bounds what goes through a face; without them the range does.
    pass_name : str
        For messages.

    Raises
    ------
    CompileError
        Conductances differ by more than weights can represent, or the range does not fit the states.
    """
    mesh = graph.mesh.grid
    assert mesh is not None
    capacity = float(graph.capacity.min())
    rates = graph.conductance / capacity
    drop = _largest_drop(mesh, limits)
    exponent, conductance, finest = _cheapest(graph, rates, limits, state_bits, pass_name)
    quantum = 2.0**-finest
    reservoirs = np.rint(graph.reservoirs / quantum).astype(np.int64)
    bias = np.zeros(mesh.faces, np.int64)
    for ends, sign in ((mesh.target, -1), (mesh.source, 1)):
        side = ends >= mesh.cells
        bias[side] = sign * conductance[side] * reservoirs[ends[side] - mesh.cells]
    joins = mesh.source != mesh.target  # a face from a cell to itself moves nothing
    window = OperatingWindow(
        math.floor(limits.lower / quantum),
        math.ceil(limits.upper / quantum),
        None,
        _largest_current(conductance, drop, limits, exponent, quantum),
    )
    volumes = equal_volumes(mesh.cells)
    field = ConservedField(FIELD, MEMBRANE, quantum * capacity, window, volumes, capacity, reservoirs, graph.reservoirs)
    return IntegerGraph(
        spec=graph.spec.model_copy(update={"operating_range": limits}),
        mesh=mesh,
        time_step=float(conductance[joins].sum() / math.fsum(rates[joins]) / 2.0**exponent),
        populations=(
            kinds.holders(field, np.rint(graph.initial / quantum).astype(np.int64)),
            kinds.faces(mesh, FaceConstants(exponent), bias),
        ),
        fields=(field,),
        channels=(kinds.face_channels(mesh),),
        synapses=(
            *synapses(MEMBRANE, FLUX, differences(mesh, conductance, mesh.holders)),
            *synapses(FLUX, MEMBRANE, Incidence(mesh.source, mesh.target, mesh.holders, 1)),
        ),
        quantisation=Quantisation(0, None, None),
        materials=graph.materials,
    )


def _cheapest(
    graph: TwoPointGraph, rates: Field, limits: OperatingRange, state_bits: int, pass_name: str
) -> tuple[int, Integers, int]:
    """Threshold exponent, conductances and exponent of the quantum that cost least together."""
    mesh = graph.mesh.grid
    assert mesh is not None
    drop = _largest_drop(mesh, limits)
    best: tuple[float, int, Integers, int] | None = None
    for exponent in range(2, LARGEST_EXPONENT + 1):
        conductance = _conductances(mesh, rates, exponent)
        worth = 0.0 if conductance is None else 0.5 * float((drop / conductance).max())
        if not graph.has_own_materials:
            conductance = _few_conductances(mesh, rates, exponent)
            worth = 0.0 if conductance is None else _rounded_by(conductance, rates, drop)
        if conductance is None:
            continue
        fits = _quantum_exponent(conductance, drop, limits, exponent, state_bits)
        finest = min(fits, FINEST_QUANTUM_EXPONENT if not worth else -math.ceil(math.log2(worth)))
        if fits >= 0 and (best is None or 2.0**-finest + worth < best[0]):
            best = 2.0**-finest + worth, exponent, conductance, finest
    if best is None:
        raise _refusal(graph, rates, limits, state_bits, pass_name)
    return best[1:]


def differences(mesh: FaceMesh, conductance: Integers, inputs: int) -> Connections:
    """Connections from cells to faces: conductance times the source's value less the target's.

    Parameters
    ----------
    conductance : int64 array [faces]
        Mantissa of each face's weight.
    inputs : int
        Neurons of the population of the cells.
    """
    ends = np.column_stack([mesh.source, mesh.target])
    values = np.column_stack([conductance, -conductance])
    order = np.argsort(ends, axis=1)
    ends, values = np.take_along_axis(ends, order, axis=1), np.take_along_axis(values, order, axis=1)
    inside = (ends < mesh.cells) & (ends[:, :1] != ends[:, 1:])
    starts = np.concatenate([[0], np.cumsum(inside.sum(axis=1))])
    return Explicit(starts, ends[inside], values[inside], inputs)


def leaving(mesh: FaceMesh, through: NDArray[np.float64]) -> Field:
    """Sum over the faces of each cell, float64 [cells]."""
    total = np.zeros(mesh.holders)
    for ends in (mesh.source, mesh.target):
        np.add.at(total, ends, through)
    return np.asarray(total[: mesh.cells])


def _largest_drop(mesh: Mesh, limits: OperatingRange) -> Field:
    """Largest difference across each face; the sides are half a cell apart at a reservoir."""
    whole = limits.upper - limits.lower
    if limits.slope is None:
        return np.full(mesh.faces, whole)
    beside = np.maximum(mesh.source, mesh.target) >= mesh.cells
    distance = np.array(mesh.spacing)[mesh.axis] * np.where(beside, 0.5, 1.0)
    return np.asarray(np.minimum(limits.slope * distance, whole))


def _largest_current(
    conductance: Integers, drop: Field, limits: OperatingRange, exponent: int, quantum: float
) -> int | None:
    """Largest declared current of a face; None where only the range bounds it."""
    currents = []
    if limits.slope is not None:
        currents.append(math.ceil(float((conductance * (drop / quantum + ROUNDING)).max())))
    if limits.flux is not None:
        currents.append(math.ceil(limits.flux / quantum * 2.0**exponent) + (1 << exponent))
    return min(currents, default=None)


def _quantum_exponent(
    conductance: Integers, drop: Field, limits: OperatingRange, exponent: int, state_bits: int
) -> int:
    """Exponent of the finest quantum with which masses and potentials fit their bits; -1 if none does."""
    for finest in range(FINEST_QUANTUM_EXPONENT, -1, -1):
        quantum = 2.0**-finest
        current = _largest_current(conductance, drop, limits, exponent, quantum)
        if current is None:
            current = int(conductance.max()) * math.ceil((limits.upper - limits.lower) / quantum + 2)
        reach = current + (1 << exponent)
        masses = signed_width(math.floor(limits.lower / quantum), math.ceil(limits.upper / quantum))
        if max(masses, signed_width(-reach, reach)) <= state_bits:
            return finest
    return -1


def _conductances(mesh: Mesh, rates: Field, exponent: int) -> Integers | None:
    """Integer conductances for a threshold; None where they are too large or too small for it."""
    scale = SAFETY_OF_ROUNDING * WITHOUT_RINGING * 2.0**exponent / float(leaving(mesh, rates).max())
    exact = scale * rates
    if float(exact.min()) < 1 or float(exact.max()) > LARGEST_WEIGHT - 1:
        return None
    rounded = np.empty(mesh.faces, np.int64)
    for axis in range(len(mesh.shape)):
        base, _, counts = face_grid(mesh, axis)
        along = np.moveaxis(exact[base : base + math.prod(counts)].reshape(counts), axis, 0)
        if mesh.boundary[axis] == (PERIODIC, PERIODIC):
            # The last face wraps around to the first cell; a mirrored mesh has it in the same place.
            lines = np.concatenate([_rounded_line(along[:-1]), np.rint(along[-1:]).astype(np.int64)])
        else:
            lines = _rounded_line(along)
        rounded[base : base + math.prod(counts)] = np.moveaxis(lines, 0, axis).reshape(-1)
    within = (leaving(mesh, rounded.astype(np.float64)) <= WITHOUT_RINGING * 2.0**exponent).all()
    return rounded if within else None


def _few_conductances(mesh: Mesh, rates: Field, exponent: int) -> Integers | None:
    """Integer conductances of a grid of one material, whose rates differ only by axis and at reservoirs.

    The time step may be a little shorter than it must be: of all the multiples of the smallest rate by which the others
    are nearly integers, too, the one with the smallest relative rounding is taken, and the longest step among equals.
    None where the largest step allows no conductance of 1.
    """
    few, face = np.unique(np.round(rates / rates.min(), 9), return_inverse=True)
    longest = min(WITHOUT_RINGING * 2.0**exponent / float(leaving(mesh, few[face]).max()), LARGEST_WEIGHT / few.max())
    least = max(1, math.ceil(SHORTEST * longest))
    multiples = np.arange(int(longest), max(least, int(longest) - MOST_MULTIPLES) - 1, -1)
    integers = np.rint(multiples[:, None] * few).astype(np.int64)
    error = np.abs(integers / (multiples[:, None] * few) - 1).max(axis=1, initial=0.0)
    for choice in np.argsort(error, kind="stable"):
        conductance: Integers = integers[choice][face]
        if (leaving(mesh, conductance.astype(np.float64)) <= WITHOUT_RINGING * 2.0**exponent).all():
            return conductance
    return None


def _rounded_by(conductance: Integers, rates: Field, drop: Field) -> float:
    """Largest change of a cell value in a PDE step by what conductances of a grid of one material are rounded by."""
    exact = conductance.sum() / rates.sum() * rates
    error = float((np.abs(conductance - exact) / exact * drop).max())
    return error if error > ALIKE else 0.0


def _rounded_line(exact: Field) -> Integers:
    """Round along the first dimension, from both ends inwards, so that sums of reciprocals stay those of the line."""
    count = len(exact)
    rounded = np.zeros(exact.shape, np.int64)
    lacking = [np.zeros(exact.shape[1:]), np.zeros(exact.shape[1:])]
    for step in range(count // 2):
        for end, at in enumerate((step, count - 1 - step)):
            rounded[at], lacking[end] = _nearest(exact[at], lacking[end])
    if count % 2:
        rounded[count // 2], _ = _nearest(exact[count // 2], lacking[0] + lacking[1])
    return rounded


def _nearest(exact: Field, lacking: Field) -> tuple[Integers, Field]:
    """The neighbouring integer that best compensates the resistance error so far, and the remaining error."""
    lower = np.floor(exact)
    exact_sum = lacking + 1 / exact
    left = exact_sum - 1 / lower, exact_sum - 1 / (lower + 1)
    up = np.abs(left[1]) < np.abs(left[0])
    return np.asarray(lower + up, np.int64), np.where(up, left[1], left[0])


def _refusal(
    graph: TwoPointGraph, rates: Field, limits: OperatingRange, state_bits: int, pass_name: str
) -> CompileError:
    mesh, has_own = graph.mesh.grid, graph.has_own_materials
    assert mesh is not None
    smallest, largest = int(np.argmin(rates)), int(np.argmax(rates))
    ratio = float(rates[largest] / rates[smallest])
    if all(_conductances(mesh, rates, exponent) is None for exponent in range(2, LARGEST_EXPONENT + 1)):
        return CompileError(
            pass_name,
            f"face {largest} conducts {ratio:.3g} times as much as face {smallest}, but weights range from 1 to "
            f"{LARGEST_WEIGHT}",
            remedy="use materials that differ less" if has_own else "choose a mesh whose cells are nearer to squares",
        )
    return CompileError(
        pass_name,
        f"cell values from {limits.lower:g} to {limits.upper:g}, between cells that differ by a factor of {ratio:.3g}, "
        f"need states wider than {state_bits} bits",
        remedy="narrow the operating range, or choose a target with wider states",
    )
