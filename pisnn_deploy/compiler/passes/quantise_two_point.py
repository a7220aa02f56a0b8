"""Pass `quantise-two-point`: a two-point graph becomes an integer graph."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.facts import QUANTISED, TWO_POINT, Fact
from pisnn_deploy.compiler.passes.alike import (
    LARGEST_WEIGHT,
    SAFETY_OF_ROUNDING,
    WITHOUT_RINGING,
    differences,
    holds_alike,
    leaving,
    quantise_alike,
)
from pisnn_deploy.compiler.passes.lower_two_point import LARGEST_SIZE, LowerTwoPoint
from pisnn_deploy.core.arithmetic import signed_width
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.graph import CellGraph, IntegerGraph, OperatingWindow, Quantisation, TwoPointGraph, kinds
from pisnn_deploy.graph.connections import Connections, Explicit, Incidence
from pisnn_deploy.graph.fields import Field as ConservedField
from pisnn_deploy.graph.integer import FIELD, FLUX, MEMBRANE
from pisnn_deploy.graph.layout import synapses
from pisnn_deploy.graph.shape import LARGEST_NUMBER
from pisnn_deploy.physics.model import OperatingRange
from pisnn_deploy.programs.neurons import FaceConstants

if TYPE_CHECKING:
    from pisnn_deploy.compiler.options import CompileOptions
    from pisnn_deploy.compiler.runner import Floating

Field = NDArray[np.float64]
LARGEST_EXPONENT = 14
"""Largest exponent of the threshold."""
FEWEST_BITS = 4
"""Fewest bits of an inverse volume, so that its rounding stays small."""
MOST_VOLUME_BITS = 14
"""Most bits of an inverse volume; synapses hold no more."""
ROOM = 16
"""Spare levels on either side of the range: rounding of packets moves a cell a few levels from an average."""


@dataclass(frozen=True)
class QuantiseTwoPoint:
    """Choose the integers of a two-point graph.

    1. A population `hidden1` of one neuron a cell turns mass to *level*, ``(p m - L 2^s + 2^(s-1)) >> s`` with the
       cell's integer inverse volume p: the value of the cell, rounded to the nearest level. The physical volume of a
       cell is what p says. No p is above ``2^s``, so that a quantum is at most one level: every cell has a mass for
       each level, the one nearest to it, and a constant field on a level is exactly at rest whatever the volumes.
    2. Levels and inverse volumes get equal shares of a state's bits; inverse volumes get more where volumes differ
       much.
    3. A flux compartment takes the difference of the levels beside it times an integer conductance. The threshold is as
       fine as drives allow; conductances are scaled so that a cell gives half of what it has at most:
       ``p_i * sum_f c_f <= 2^(F + s - 1)``. That is twice as far from a negative weight of the update as a discrete
       maximum principle asks for, and no wave changes its sign from one PDE step to the next.
    4. The time step follows from the sum of the integer conductances.
    5. Cells of equal capacity on a grid need no levels (`pisnn_deploy.compiler.passes.alike`): a face takes the
       difference of the masses themselves, and the slope of the operating range bounds what goes through it.

    Parameters
    ----------
    operating_range : OperatingRange or None
        Replaces the model's own; its limits on slopes and fluxes apply where cells have equal capacity.
    """

    name: ClassVar[str] = "quantise-two-point"
    requires: ClassVar[tuple[Fact, ...]] = (TWO_POINT,)
    ensures: ClassVar[tuple[Fact, ...]] = (QUANTISED,)

    state_bits: int
    operating_range: OperatingRange | None = None

    @classmethod
    def asked(cls, options: CompileOptions, floating: Floating | None) -> QuantiseTwoPoint | None:
        """Run after `LowerTwoPoint`, with weights of one digit."""
        if not isinstance(options.lower, LowerTwoPoint) or options.has_many_digits:
            return None
        return cls(options.state_bits, options.operating_range)

    def __call__(self, graph: TwoPointGraph) -> IntegerGraph:
        """Quantise `graph`.

        Raises
        ------
        CompileError
            Volumes or conductances differ by more than integers of these widths can represent.
        """
        mesh, limits = graph.mesh, self.operating_range or graph.spec.operating_range
        require_in_range(self.name, graph, limits)
        if holds_alike(graph):
            return quantise_alike(graph, limits, self.state_bits, self.name)
        reference = float(graph.capacity.min())
        shift, levels, usable = self._shared_bits(graph)
        largest = min(1 << shift, LARGEST_WEIGHT)
        inverse_volume = np.rint(largest * reference / graph.capacity).astype(np.int64)
        margin = ROOM << shift
        unit = self._unit(limits, usable, shift, int(inverse_volume.min()))
        window = OperatingWindow(
            math.floor(limits.lower / unit * 2**shift) - margin,
            math.ceil(limits.upper / unit * 2**shift) + margin,
            None,
        )
        lowest, half = window.lower >> shift, 1 << (shift - 1)
        conductance, exponent = self._conductances(graph, inverse_volume, shift, levels)
        reservoirs = np.rint(graph.reservoirs / unit).astype(np.int64)
        beside = mesh.target >= mesh.cells, mesh.source >= mesh.cells
        bias = np.zeros(mesh.faces, np.int64)
        for side, ends, sign in ((beside[0], mesh.target, -1), (beside[1], mesh.source, 1)):
            bias[side] = sign * conductance[side] * (reservoirs[ends[side] - mesh.cells] - lowest)
        joins = mesh.source != mesh.target  # a face from a cell to itself moves nothing
        # On whole levels, so that a constant start next to equal reservoirs is at rest.
        initial = np.rint(np.rint(graph.initial / unit) * 2.0**shift / inverse_volume)
        require_start(self.name, graph, initial * inverse_volume, limits)
        unit_volume = reference * largest
        quantum, shown = unit * 2.0**-shift * unit_volume, reservoirs << shift
        field = ConservedField(FIELD, MEMBRANE, quantum, window, inverse_volume, unit_volume, shown, graph.reservoirs)
        return IntegerGraph(
            spec=graph.spec.model_copy(update={"operating_range": limits.model_copy(update=NO_SLOPES)}),
            mesh=mesh,
            time_step=float(
                conductance[joins].sum() / math.fsum(graph.conductance[joins]) * unit_volume / 2.0 ** (exponent + shift)
            ),
            populations=(
                kinds.holders(field, initial.astype(np.int64)),
                kinds.rectifiers("hidden1", np.full(mesh.cells, half - (lowest << shift), np.int64), shift),
                kinds.faces(mesh, FaceConstants(exponent), bias),
            ),
            fields=(field,),
            channels=(kinds.face_channels(mesh),),
            synapses=(
                *synapses(MEMBRANE, "hidden1", _diagonal(inverse_volume, mesh.holders)),
                *synapses("hidden1", FLUX, differences(mesh, conductance, mesh.cells)),
                *synapses(FLUX, MEMBRANE, Incidence(mesh.source, mesh.target, mesh.holders, 1)),
            ),
            quantisation=Quantisation(0, None, None),
            materials=graph.materials,
        )

    def summary(self, graph: IntegerGraph) -> str:
        """One sentence that describes the result."""
        volumes = graph.sole_field.inverse_volume
        levels = (
            f"levels of {graph.resolution:g}, inverse volumes {int(volumes.min())} to {int(volumes.max())}"
            if graph.between_fields
            else f"value of a quantum {graph.resolution:g}"
        )
        return f"{levels}, threshold 2^{kinds.known_face(graph).exponent}, time step {graph.time_step:.6g}"

    def _shared_bits(self, graph: TwoPointGraph) -> tuple[int, int, int]:
        """The shift from mass to level, the number of levels, and how many of them the range may use."""
        ratio = float(graph.capacity.max() / graph.capacity.min())
        shift = max(min((self.state_bits - 1) // 2, MOST_VOLUME_BITS - 1), FEWEST_BITS + math.ceil(math.log2(ratio)))
        largest = LARGEST_WEIGHT >> FEWEST_BITS
        cells = (
            f"cell {int(np.argmax(graph.capacity))} has {ratio:.4g} times the capacity of cell "
            f"{int(np.argmin(graph.capacity))}"
        )
        if ratio > largest:
            raise CompileError(
                self.name,
                f"{cells}; inverse volumes, which are weights of {1 << FEWEST_BITS} to {LARGEST_WEIGHT}, differ by a "
                f"factor of at most {largest}",
                remedy="use a mesh with more uniform cells, or materials that differ less",
            )
        shift = min(shift, MOST_VOLUME_BITS)
        levels = 1 << max(0, self.state_bits - 1 - shift)
        usable = levels - 3 - 2 * ROOM
        if usable < 1 << FEWEST_BITS:
            raise CompileError(
                self.name,
                f"{cells}, which leaves {levels} levels in states of {self.state_bits} bits",
                remedy="use a mesh with more uniform cells, or a target with wider states",
            )
        return shift, levels, usable

    def _unit(self, limits: OperatingRange, usable: int, shift: int, thinnest: int) -> float:
        """Value of a level: the finest with which the masses at both ends of the range fit their states."""
        spread = (limits.upper - limits.lower) / usable
        farthest = max(abs(limits.lower), abs(limits.upper))
        heaviest = farthest * 2.0**shift / thinnest / (2.0 ** (self.state_bits - 1) - 2 - (ROOM << shift) / thinnest)
        unit = 2.0 ** math.ceil(math.log2(max(spread, heaviest)))
        if not 0 < heaviest <= LARGEST_SIZE or (limits.upper - limits.lower) / unit < 1 << FEWEST_BITS:
            raise CompileError(
                self.name,
                f"states of {self.state_bits} bits resolve cell values from {limits.lower:g} to {limits.upper:g} in "
                f"steps of {unit:g} at best",
                remedy="choose a range that is wider or nearer to 0, or a target with wider states",
            )
        return unit

    def _conductances(
        self, graph: TwoPointGraph, inverse_volume: NDArray[np.int64], shift: int, levels: int
    ) -> tuple[NDArray[np.int64], int]:
        """Integer conductances and the threshold exponent, as fine as a drive of `levels` allows."""
        relative = graph.conductance / float(graph.capacity.min())
        steepest = float((inverse_volume * leaving(graph.mesh, relative)).max())
        for exponent in range(LARGEST_EXPONENT, 0, -1):
            limit = WITHOUT_RINGING * 2.0 ** (exponent + shift)
            conductance = np.rint(SAFETY_OF_ROUNDING * limit / steepest * relative).astype(np.int64)
            largest = int(conductance.max())
            widest = signed_width(0, largest * levels) if largest <= LARGEST_WEIGHT else self.state_bits + 1
            within = (inverse_volume * leaving(graph.mesh, conductance.astype(np.float64)) <= limit).all()
            if widest <= self.state_bits and within:
                if int(conductance.min()) < 1:
                    break
                return conductance, exponent
        smallest, largest = int(np.argmin(relative)), int(np.argmax(relative))
        raise CompileError(
            self.name,
            f"face {largest} conducts {relative[largest] / relative[smallest]:.3g} times as much as face {smallest}, "
            f"too much for {levels} levels in states of {self.state_bits} bits",
            remedy="use a mesh with more uniform cells, materials that differ less, or a target with wider states",
        )


NO_SLOPES = {"slope": None, "flux": None}
"""Fields of an operating range that quantising to levels ignores."""


def require_in_range(pass_name: str, graph: CellGraph, limits: OperatingRange) -> None:
    """Refuse reservoirs outside the operating range.

    Raises
    ------
    CompileError
        Names the first one.
    """
    outside = np.flatnonzero(~((graph.reservoirs >= limits.lower) & (graph.reservoirs <= limits.upper)))
    if outside.size:
        number = int(outside[0])
        raise CompileError(
            pass_name,
            f"reservoir {number} holds the value {graph.reservoirs[number]:g}, outside the operating range "
            f"{limits.lower:g} to {limits.upper:g}",
            remedy="widen the range with `value_range` LOWER,UPPER",
        )


def require_start(pass_name: str, graph: CellGraph, levels: Field, limits: OperatingRange) -> None:
    """Refuse a start that is too far outside the operating range to have a mass.

    Parameters
    ----------
    levels : float64 array [cells]
        Masses at the start, times inverse volumes.

    Raises
    ------
    CompileError
        Names the farthest cell.
    """
    if float(np.abs(levels).max()) < LARGEST_NUMBER:
        return
    cell = int(np.argmax(np.abs(levels)))
    raise CompileError(
        pass_name,
        f"cell {cell} starts at {graph.initial[cell]:g}, too far outside the operating range {limits.lower:g} to "
        f"{limits.upper:g} to have a mass",
        remedy="widen the range with `value_range` LOWER,UPPER",
    )


def _diagonal(values: NDArray[np.int64], inputs: int) -> Connections:
    numbers = np.arange(values.size, dtype=np.int64)
    return Explicit(np.arange(values.size + 1, dtype=np.int64), numbers, values, inputs)
