"""Pass `quantise-digits`: fluxes between cells of any kind become integers, with as many digits as they need."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.facts import ON_CELLS, QUANTISED, Fact
from pisnn_deploy.compiler.passes.alike import ALIKE, SAFETY_OF_ROUNDING
from pisnn_deploy.compiler.passes.digit_weights import NARROWEST_DIGIT, WIDEST_DIGIT, Fluxes, Weights, largest_of_rows
from pisnn_deploy.compiler.passes.quantise_two_point import (
    NO_SLOPES,
    ROOM,
    require_in_range,
    require_start,
)
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.core.rows import Rows, diagonal
from pisnn_deploy.graph import CellGraph, IntegerGraph, OperatingWindow, Population, Quantisation, Synapse, kinds
from pisnn_deploy.graph.connections import Explicit, Incidence
from pisnn_deploy.graph.digits import split
from pisnn_deploy.graph.fields import Field as ConservedField
from pisnn_deploy.graph.fields import equal_volumes
from pisnn_deploy.graph.integer import FIELD, FLUX, FLUX_DIGITS, LEVEL, LEVEL_DIGITS, MEMBRANE
from pisnn_deploy.graph.layout import synapses
from pisnn_deploy.physics.model import OperatingRange
from pisnn_deploy.programs.neurons import FaceConstants

if TYPE_CHECKING:
    from pisnn_deploy.compiler.options import CompileOptions
    from pisnn_deploy.compiler.runner import Floating

Field = NDArray[np.float64]
Integers = NDArray[np.int64]
UNDERSHOOT = Fraction(1, 16)
"""Part of the range by which the window is wider for multi-point fluxes, which have no maximum principle."""
FINEST_LEVEL_BITS, FEWEST_LEVEL_BITS = 16, 6
"""Bits of the number of levels in the operating window."""
VOLUME_BITS = 14
"""Bits of the largest inverse volume: those of its last digit at most, and of the lower ones what is left."""
LAST_VOLUME_BITS = 8
FEWEST_VOLUME = 16
"""Smallest inverse volume."""


@dataclass(frozen=True)
class QuantiseDigits:
    """Choose the integers of a graph of fluxes between cells, without loss of precision where conductances differ much.

    1. Mass becomes a *level* as in `quantise-two-point`, but inverse volume times mass is computed in two to four
       digits (populations `level-digit-1` to `level-digit-3` and `level`), so that levels may have as many bits as
       masses. Where masses fit, a level is two quanta of the smallest cell, so that what faces have not fired moves a
       cell less. Cells of equal capacity need no digits: their level is half of the mass.
    2. The flux through a face is an integer sum over levels, whose weights have up to four digits; the lower ones are
       summed by the populations `flux-digit-1` to `flux-digit-3`, which carry to the next. The weights of each face,
       and of the reservoirs that it sees, sum to 0, so that a constant field is exactly at rest.
    3. Weights are scaled so that no wave changes its sign from one PDE step to the next: for each cell
       ``p_i sum_j |(D W)_ij| <= 2^(F + s)``.
    4. Levels are as fine as states and the number of digits allow, because the steady error of a run is half a level,
       but not finer than what a face of the smallest conductance can resolve: its drive is rounded to one flux unit.
       Digits are as few, and as wide, as their sums allow.
    5. Fluxes of more than two values have no maximum principle, so that the window is wider by 1/16 of the range.
    """

    name: ClassVar[str] = "quantise-digits"
    requires: ClassVar[tuple[Fact, ...]] = (ON_CELLS,)
    ensures: ClassVar[tuple[Fact, ...]] = (QUANTISED,)

    state_bits: int
    operating_range: OperatingRange | None = None

    @classmethod
    def asked(cls, options: CompileOptions, floating: Floating | None) -> QuantiseDigits | None:
        """Run for multi-point fluxes, and where digits are asked for."""
        return cls(options.state_bits, options.operating_range) if options.has_many_digits else None

    def __call__(self, graph: CellGraph) -> IntegerGraph:
        """Quantise `graph`.

        Raises
        ------
        CompileError
            Capacities or fluxes differ by more than integers of these widths can represent.
        """
        limits = self.operating_range or graph.spec.operating_range
        require_in_range(self.name, graph, limits)
        fluxes = Fluxes.of(graph)
        finest = self.state_bits - 1 - max(3, math.ceil(math.log2(fluxes.ratio)))
        for bits in range(min(FINEST_LEVEL_BITS, finest), FEWEST_LEVEL_BITS - 1, -1):
            values = _Values.of(graph, limits, bits, self.state_bits)
            if values is None:
                continue
            weights = fluxes.rounded(values.span, values.shift - values.volume_bits, self.state_bits)
            if weights is not None:
                require_start(self.name, graph, values.initial(graph), limits)
                return _integer_graph(graph, limits, values, weights)
        raise CompileError(
            self.name,
            f"fluxes of faces differ by a factor of {fluxes.ratio:.3g} and capacities of cells by "
            f"{graph.capacity.max() / graph.capacity.min():.3g}, too much for states of {self.state_bits} bits",
            remedy="use a mesh with more uniform cells, materials that differ less, or a target with wider states",
        )

    def summary(self, graph: IntegerGraph) -> str:
        """One sentence that describes the result."""
        digits = 1 + sum(name in FLUX_DIGITS for name in graph.chain)
        volumes = graph.sole_field.inverse_volume
        return (
            f"levels of {graph.resolution:g}, inverse volumes {int(volumes.min())} to {int(volumes.max())}, weights of "
            f"{digits} digits, threshold 2^{kinds.known_face(graph).exponent}, time step {graph.time_step:.6g}"
        )


@dataclass(frozen=True)
class _Values:
    """Integers of masses and levels.

    Attributes
    ----------
    unit : float
        Value of a level, or of a quantum where capacities are equal.
    digits : tuple of int
        Bits of each digit of inverse volume times mass that is shifted out, lowest first.
    window : OperatingWindow
        In units of inverse volume times mass.
    inverse_volume : int64 array [cells]
        All 1 where capacities are equal.
    reference : float
        Smallest capacity.
    """

    unit: float
    digits: tuple[int, ...]
    window: OperatingWindow
    inverse_volume: Integers
    reference: float

    @classmethod
    def of(cls, graph: CellGraph, limits: OperatingRange, bits: int, state_bits: int) -> _Values | None:
        """Integers with at most ``2^bits`` levels; None where masses do not fit."""
        reference = float(graph.capacity.min())
        largest = 1 << (state_bits - 1)
        lower, upper = Fraction(limits.lower), Fraction(limits.upper)
        beside = Fraction(0) if graph.is_two_point else UNDERSHOOT * (upper - lower)
        unit = 2.0 ** math.ceil(math.log2((upper - lower + 2 * beside) / ((1 << bits) - 3 - 2 * ROOM)))
        far = math.ceil(max(abs(lower - beside), abs(upper + beside)) / Fraction(unit)) + ROOM + 2
        digits: tuple[int, ...] = (1,)
        volumes = equal_volumes(graph.mesh.cells)
        ratio = float(graph.capacity.max()) / reference
        if ratio > 1 + ALIKE:
            chosen = _digits_of_volumes(far * ratio, far, largest)
            if chosen is None:
                return None
            halved = _digits_of_volumes(2 * far * ratio, far, largest, VOLUME_BITS + 1)
            is_halved = halved is not None and len(halved) == len(chosen)
            digits = halved if halved is not None and is_halved else chosen
            volumes = np.rint((1 << sum(digits) - is_halved) * reference / graph.capacity).astype(np.int64)
            if int(volumes.min()) < FEWEST_VOLUME:
                return None
        shift = sum(digits)
        quantum = Fraction(unit) / (1 << shift)
        window = OperatingWindow(
            math.floor((lower - beside) / quantum) - (ROOM << shift),
            math.ceil((upper + beside) / quantum) + (ROOM << shift),
            None,
        )
        return cls(unit, digits, window, volumes, reference) if far < largest else None

    @property
    def shift(self) -> int:
        """Bits between inverse volume times mass and level."""
        return sum(self.digits)

    @property
    def volume_bits(self) -> int:
        """The smallest cell has the inverse volume 2 to the power of this."""
        return int(self.inverse_volume.max()).bit_length() - 1

    @property
    def lowest(self) -> int:
        """Lowest level of the operating window."""
        return self.window.lower >> self.shift

    @property
    def span(self) -> int:
        """Number of levels above it."""
        return (self.window.upper >> self.shift) + 1 - self.lowest

    @property
    def farthest(self) -> int:
        """Largest absolute level."""
        return max(abs(self.lowest), abs(self.lowest + self.span))

    @property
    def unit_volume(self) -> float:
        """Capacity of a cell whose inverse volume is 1."""
        return self.reference * 2.0**self.volume_bits

    def initial(self, graph: CellGraph) -> Field:
        """Masses at the start, on whole levels, so that a constant start next to equal reservoirs is at rest."""
        return np.asarray(np.rint(np.rint(graph.initial / self.unit) * 2.0**self.shift / self.inverse_volume))

    def reservoirs(self, graph: CellGraph) -> Integers:
        """Levels that reservoirs show."""
        return np.asarray(np.rint(graph.reservoirs / self.unit), np.int64)


def _digits_of_volumes(heaviest: float, far: int, largest: int, wanted: int = VOLUME_BITS) -> tuple[int, ...] | None:
    """Bits of the digits of inverse volumes, lowest first; None where their sums do not fit their states.

    Parameters
    ----------
    heaviest : float
        Largest absolute mass.
    far : int
        Largest absolute level.
    largest : int
        Of a state.
    wanted : int
        Bits of all digits, if so many fit.
    """
    last = min(LAST_VOLUME_BITS, math.floor(math.log2(largest / 2 / far)))
    # A lower digit of the heaviest cell, times its mass, takes half of its state, and what raises it above 0 the other.
    lower = min(WIDEST_DIGIT, math.floor(math.log2(SAFETY_OF_ROUNDING * largest / heaviest)))
    if last < 1 or lower < NARROWEST_DIGIT:
        return None
    count = min(len(LEVEL_DIGITS), -(-(wanted - last) // lower))
    return (*(min(lower, -(-(wanted - last) // count)),) * count, last)


def _integer_graph(graph: CellGraph, limits: OperatingRange, values: _Values, weights: Weights) -> IntegerGraph:
    mesh, shown = graph.mesh, values.reservoirs(graph)
    scale = _scale(graph, weights.rows)
    full = weights.exponent + weights.lower_bits
    field = ConservedField(
        FIELD,
        MEMBRANE,
        values.unit * 2.0**-values.shift * values.unit_volume,
        values.window,
        values.inverse_volume,
        values.unit_volume,
        shown << values.shift,
        graph.reservoirs,
    )
    before, into = _levels(values, mesh.holders)
    held = weights.rows.between(mesh.cells, mesh.holders)
    biases = split(held @ (shown - values.lowest), weights.digits, weights.bits)
    faces, between = _faces(values.span, weights, biases, weights.rows.between(0, mesh.cells))
    return IntegerGraph(
        spec=graph.spec.model_copy(update={"operating_range": limits.model_copy(update=NO_SLOPES)}),
        mesh=mesh,
        time_step=float(scale * values.unit_volume / 2.0 ** (full + values.shift)),
        populations=(
            kinds.holders(field, values.initial(graph).astype(np.int64)),
            *before,
            *between.populations,
            kinds.faces(mesh, FaceConstants(weights.exponent), faces),
        ),
        fields=(field,),
        channels=(kinds.face_channels(mesh),),
        synapses=(
            *into,
            *between.synapses,
            *synapses(FLUX, MEMBRANE, Incidence(mesh.source, mesh.target, mesh.holders, 1)),
        ),
        quantisation=Quantisation(0, None, None),
        materials=graph.materials,
    )


def _scale(graph: CellGraph, weights: Rows) -> float:
    """Integer weight per coefficient: by the conductances of two-point fluxes, else by all weights of cells."""
    if graph.is_two_point:
        return int(largest_of_rows(weights).sum()) / math.fsum(largest_of_rows(graph.fluxes))
    cells = graph.mesh.cells
    return int(abs(weights.between(0, cells).values).sum()) / math.fsum(abs(graph.fluxes.between(0, cells).values))


def _levels(values: _Values, holders: int) -> tuple[tuple[Population, ...], tuple[Synapse, ...]]:
    """Populations of the levels and of their digits, and the synapses into them."""
    bits, heaviest = values.digits, values.farthest << values.shift
    cells, most_mass = values.inverse_volume.size, heaviest // values.inverse_volume + 1
    names = (*LEVEL_DIGITS[len(LEVEL_DIGITS) + 1 - len(bits) :], LEVEL)
    populations, made, carried = list[Population](), list[Synapse](), 0
    for number, (name, part) in enumerate(zip(names, split(values.inverse_volume, len(bits), bits[0]), strict=True)):
        made += synapses(MEMBRANE, name, _explicit(diagonal(part, holders)))
        if number:
            made += _ones(names[number - 1], name, cells)
        bias = -carried
        if name == LEVEL:
            bias += (1 << bits[number] >> 1) - (values.lowest << bits[number])
        else:
            # What is raised here, so that no sum is below 0, is taken off in the next digit.
            most = int((abs(part) * most_mass).max()) + 2 * carried
            carried = (most >> bits[number]) + 1
            bias += carried << bits[number]
        populations.append(kinds.rectifiers(name, np.full(cells, bias, np.int64), bits[number]))
    return tuple(populations), tuple(made)


@dataclass(frozen=True)
class _Between:
    populations: tuple[Population, ...]
    synapses: tuple[Synapse, ...]


def _faces(span: int, weights: Weights, biases: tuple[Integers, ...], inputs: Rows) -> tuple[Integers, _Between]:
    """Biases of the faces, and the populations and synapses of the digits of their sums."""
    names = (*FLUX_DIGITS[len(FLUX_DIGITS) + 1 - weights.digits :], FLUX)
    populations, made, carried = list[Population](), list[Synapse](), 0
    bias = np.zeros(0, np.int64)
    parts = split(inputs.values, weights.digits, weights.bits)
    for number, (name, part) in enumerate(zip(names, parts, strict=True)):
        rows = inputs.with_values(part).without_zeros()
        bias = biases[number] - carried
        made += synapses(LEVEL, name, _explicit(rows))
        if number:
            made += _ones(names[number - 1], name, bias.size)
        if name != FLUX:
            # Half a unit of the last digit rounds to the nearest; what is raised here is taken off there.
            if name == names[-2]:
                bias = bias + (1 << weights.bits >> 1)
            least = int((abs(rows).sums() * (span + 1) + abs(biases[number])).max(initial=0)) + 2 * carried
            carried = (least >> weights.bits) + 2
            populations.append(kinds.rectifiers(name, bias + (carried << weights.bits), weights.bits))
    return bias, _Between(tuple(populations), tuple(made))


def _explicit(rows: Rows) -> Explicit:
    return Explicit(rows.starts, rows.columns, rows.values, rows.width)


def _ones(source: str, target: str, size: int) -> tuple[Synapse, ...]:
    return synapses(source, target, _explicit(diagonal(np.ones(size, np.int64))))
