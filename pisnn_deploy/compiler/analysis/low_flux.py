"""The low flux of a limiter: a monotone flux near that of the network, which never overdraws a cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.mesh import FaceMesh
from pisnn_deploy.physics.model import flux_moments
from pisnn_deploy.programs.limiter import FaceLimiter, Upwind

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class LowFlux:
    """A low flux, by the constants of the faces.

    Attributes
    ----------
    upwind, weight : str, int
        See `pisnn_deploy.programs.limiter.FaceLimiter`.
    exponent : int
        ``F``: the weight counts in units of ``2^-F``.
    parameters : mapping of str to int64 array [faces]
        What reservoirs add to masses (``beyond``), and a constant part (``base``).
    """

    upwind: Upwind
    weight: int
    exponent: int
    parameters: Mapping[str, Integers]

    def limiter(self, *, has_ceiling: bool) -> FaceLimiter:
        """Constants of the faces."""
        return FaceLimiter(self.upwind, self.weight, has_ceiling)

    def at(self, mesh: FaceMesh, level: int) -> Integers:
        """Low flux where all cells hold `level`, int64 [faces]."""
        signs = {"source": (1, 0), "target": (0, -1), "both": (1, -1)}[self.upwind]
        moved = self.parameters["beyond"].copy()
        for sign, ends in zip(signs, (mesh.source, mesh.target), strict=True):
            moved += sign * level * (ends < mesh.cells)
        return np.asarray(np.sign(moved) * (np.abs(moved) * self.weight >> self.exponent) + self.parameters["base"])


NO_FLUX = LowFlux("none", 0, 0, {})


def low_flux(graph: IntegerGraph, floor: int, ceiling: int, *, has_ceiling: bool) -> LowFlux:
    """Choose the low flux of a graph.

    An upwind flux where constant fields flow, else the two-point flux of diffusion, as large as stays monotone; none
    for two-point graphs.

    Parameters
    ----------
    floor, ceiling : int
        Range of masses, in quanta.
    has_ceiling : bool
        Whether the ceiling limits, too.
    """
    if graph.materials is not None or not graph.operator or ceiling <= floor:
        return NO_FLUX
    mesh, exponent = graph.mesh, known_face(graph).exponent
    theta, bottom, top = 1 << exponent, _drive(graph, floor), _drive(graph, ceiling)
    courant = round((top - bottom) / (ceiling - floor))
    if courant:
        # Rounding may take a quantum more than the weight says, but not at a floor of 0.
        most = theta if has_ceiling or floor else theta // max(1, _most_leaving(mesh, courant > 0))
        weight, end = min(abs(courant), most), "source" if courant > 0 else "target"
        carried = weight * abs(floor) >> exponent
        base = _towards_zero(bottom, exponent) - (carried if (courant > 0) == (floor > 0) else -carried)
        return LowFlux("source" if end == "source" else "target", weight, exponent, _parameters(graph, end, base))
    if len(graph.operator) > 1:
        return NO_FLUX
    kernels = graph.operator[0].weight.astype(np.float64)
    diffusion = min(flux_moments(kernel, graph.model_spec.positions)[1] for kernel in kernels)
    weight = min(round(diffusion), theta // max(1, most_faces(mesh)))
    return LowFlux("both", weight, exponent, _parameters(graph, "both", 0)) if weight > 0 else NO_FLUX


def overdraws(mesh: FaceMesh, low: LowFlux, floor: int, ceiling: int | None) -> str:
    """Say why a low flux might lead out of the range; empty if it cannot.

    1. It grows with the mass of the source and falls with that of the target, so the worst neighbours of a cell are at
       the floor (ceiling). Where all cells are, it takes from none (gives to none).
    2. A cell ``n`` quanta above the floor (below the ceiling) gives (takes) at most n more: a face changes by at most
       ``ceil(n weight / theta)``, and by ``floor`` of it where x is 0 at the floor.

    Parameters
    ----------
    ceiling : int or None
        None where only the floor limits.
    """
    if low.upwind == "none":
        return ""
    joins = mesh.source != mesh.target
    ends = {"source": (mesh.source,), "target": (mesh.target,), "both": (mesh.source, mesh.target)}[low.upwind]
    counts = np.bincount(np.concatenate([each[joins] for each in ends]), minlength=mesh.holders)[: mesh.cells]
    is_exact = low.upwind == "both" or (floor == 0 and ceiling is None)
    most, theta = int(counts.max(initial=0)), 1 << low.exponent
    if (most * low.weight > theta) if is_exact else (most > 1 or low.weight > theta):
        return f"a cell has {most} faces through which the flow leaves it"
    for level, sign, word in ((floor, 1, "below"), *(() if ceiling is None else ((ceiling, -1, "above"),))):
        flux = low.at(mesh, level)
        gain = np.zeros(mesh.holders, np.int64)
        np.add.at(gain, mesh.target, flux)
        np.subtract.at(gain, mesh.source, flux)
        wrong = np.flatnonzero(sign * gain[: mesh.cells] < 0)
        if wrong.size:
            return f"the flow alone carries cell {wrong[0]} {word} {level} quanta where all cells hold that much"
    return ""


def most_faces(mesh: FaceMesh) -> int:
    """Largest number of faces of a cell."""
    ends = np.concatenate([mesh.source, mesh.target])
    return int(np.bincount(ends, minlength=mesh.holders)[: mesh.cells].max(initial=0))


def _most_leaving(mesh: FaceMesh, forward: bool) -> int:
    ends = mesh.source if forward else mesh.target
    joins = mesh.source != mesh.target
    return int(np.bincount(ends[joins], minlength=mesh.holders)[: mesh.cells].max(initial=0))


def _parameters(graph: IntegerGraph, upwind: str, base: int) -> dict[str, Integers]:
    mesh, shown = graph.mesh, graph.sole_field.reservoirs
    values = np.concatenate([np.zeros(mesh.cells, np.int64), shown])
    beyond = np.zeros(mesh.faces, np.int64)
    if upwind in ("source", "both"):
        beyond += values[mesh.source]
    if upwind in ("target", "both"):
        beyond -= values[mesh.target]
    return {"beyond": beyond, "base": np.full(mesh.faces, base, np.int64)}


def _drive(graph: IntegerGraph, level: int) -> int:
    """Drive of a face in a constant field."""
    values = np.full(graph.operator[0].weight.shape[1], level, np.int64)
    for number, layer in enumerate(graph.operator):
        values = layer.weight @ values + layer.bias
        if number + 1 < len(graph.operator):
            values = np.maximum(values, 0) >> layer.shift
    return int(values[0])


def _towards_zero(drive: int, exponent: int) -> int:
    return (abs(drive) >> exponent) * (1 if drive > 0 else -1)
