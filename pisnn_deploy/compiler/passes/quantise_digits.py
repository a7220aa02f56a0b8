"""Pass `quantise-digits`: fluxes between cells of any kind become integers, with as many digits as they need."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.facts import ON_CELLS, QUANTISED, Fact
from pisnn_deploy.compiler.passes.alike import LARGEST_WEIGHT, SAFETY_OF_ROUNDING, holds_alike
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
from pisnn_deploy.graph.integer import FIELD, FLUX, FLUX_DIGITS, LEVEL, LEVEL_DIGIT, MEMBRANE
from pisnn_deploy.graph.layout import DIGIT_BITS, synapses
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
LARGEST_EXPONENT = 18
FEWEST_WEIGHT = 1 << 12
"""Largest weight of any face is at least this, so that rounding costs little: digits are added until it is."""
MOST_DIGITS = 1 + len(FLUX_DIGITS)
FEWEST_VOLUME = 16
"""Smallest inverse volume."""
_DIGIT = 1 << DIGIT_BITS


@dataclass(frozen=True)
class QuantiseDigits:
    """Choose the integers of a graph of fluxes between cells, without loss of precision where conductances differ much.

    1. Mass becomes a *level* as in `quantise-two-point`, but inverse volume times mass is computed in two digits of 7
       bits (populations `level-digit` and `level`), so that levels may have as many bits as masses. Cells of equal
       capacity on a grid need no levels.
    2. The flux through a face is an integer sum over levels, whose weights have up to three digits; the lower ones are
       summed by the populations `flux-digit-1` and `flux-digit-2`, which carry to the next. The weights of each face,
       and of the reservoirs that it sees, sum to 0, so that a constant field is exactly at rest.
    3. Weights are scaled so that no wave changes its sign from one PDE step to the next: for each cell
       ``p_i sum_j |(D W)_ij| <= 2^(F + s)``.
    4. Levels are as fine as the lower digits allow, but not finer than what a face of the smallest conductance can
       resolve: its drive is rounded to one flux unit.
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
        fluxes = _Fluxes.of(graph)
        finest = self.state_bits - 1 - max(3, math.ceil(math.log2(fluxes.ratio)))
        for bits in range(min(FINEST_LEVEL_BITS, finest), FEWEST_LEVEL_BITS - 1, -1):
            values = _Values.of(graph, limits, bits, self.state_bits)
            weights = None if values is None else fluxes.rounded(values, self.state_bits)
            if values is not None and weights is not None:
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
        levels = (
            f"levels of {graph.resolution:g}, inverse volumes {int(volumes.min())} to {int(volumes.max())}"
            if LEVEL in graph.chain
            else f"value of a quantum {graph.resolution:g}"
        )
        return (
            f"{levels}, weights of {digits} digits, threshold 2^{kinds.known_face(graph).exponent}, time step "
            f"{graph.time_step:.6g}"
        )


@dataclass(frozen=True)
class _Values:
    """Integers of masses and levels.

    Attributes
    ----------
    unit : float
        Value of a level, or of a quantum where capacities are equal.
    shift : int
        Bits between inverse volume times mass and level; 0 without levels.
    window : OperatingWindow
        In units of inverse volume times mass.
    inverse_volume : int64 array [cells]
        All 1 where capacities are equal.
    reference : float
        Smallest capacity.
    """

    unit: float
    shift: int
    window: OperatingWindow
    inverse_volume: Integers
    reference: float

    @classmethod
    def of(cls, graph: CellGraph, limits: OperatingRange, bits: int, state_bits: int) -> _Values | None:
        """Integers with at most ``2^bits`` levels; None where masses do not fit."""
        alike = holds_alike(graph)
        reference = float(graph.capacity.min())
        largest = 1 << (state_bits - 1)
        lower, upper = Fraction(limits.lower), Fraction(limits.upper)
        beside = Fraction(0) if graph.is_two_point else UNDERSHOOT * (upper - lower)
        unit = 2.0 ** math.ceil(math.log2((upper - lower + 2 * beside) / ((1 << bits) - 3 - 2 * ROOM)))
        far = math.ceil(max(abs(lower - beside), abs(upper + beside)) / Fraction(unit)) + ROOM + 2
        shift, volumes = 0, equal_volumes(graph.mesh.cells)
        if not alike:
            ratio = float(graph.capacity.max()) / reference
            # The upper digit of inverse volume times mass, and the lower one of the heaviest cell, fit their states.
            top = min(DIGIT_BITS, math.floor(math.log2(largest / 2 / far)))
            if top < 1 or far * ratio * _DIGIT > largest or (1 << (top + DIGIT_BITS)) < FEWEST_VOLUME * ratio:
                return None
            shift = top + DIGIT_BITS
            volumes = np.rint((1 << shift) * reference / graph.capacity).astype(np.int64)
        quantum = Fraction(unit) / (1 << shift)
        window = OperatingWindow(
            math.floor((lower - beside) / quantum) - (ROOM << shift),
            math.ceil((upper + beside) / quantum) + (ROOM << shift),
            None,
        )
        return cls(unit, shift, window, volumes, reference) if far < largest else None

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
        return self.reference * 2.0**self.shift

    def initial(self, graph: CellGraph) -> Field:
        """Masses at the start, on whole levels, so that a constant start next to equal reservoirs is at rest."""
        return np.asarray(np.rint(np.rint(graph.initial / self.unit) * 2.0**self.shift / self.inverse_volume))

    def reservoirs(self, graph: CellGraph) -> Integers:
        """Levels that reservoirs show."""
        return np.asarray(np.rint(graph.reservoirs / self.unit), np.int64)


@dataclass(frozen=True)
class _Weights:
    """Integer weights of the levels of all holders in each face, and the threshold of a face.

    Attributes
    ----------
    digits : int
        Number of digits.
    exponent : int
        Of the threshold, in units of the last digit.
    """

    rows: Rows
    digits: int
    exponent: int


@dataclass(frozen=True)
class _Fluxes:
    """Fluxes in units in which the steepest cell loses its whole value in a unit of time, per its capacity.

    Attributes
    ----------
    rows : Rows, float64 [faces, holders]
        Coefficients divided by steepness and smallest capacity.
    reach : float64 array [faces]
        Sum of the positive coefficients of each face.
    """

    rows: Rows
    reach: Field
    graph: CellGraph

    @classmethod
    def of(cls, graph: CellGraph) -> _Fluxes:
        """Fluxes of a graph."""
        scale = graph.steepness * float(graph.capacity.min())
        rows = graph.fluxes.valued(lambda values: values / scale)
        return cls(rows, rows.valued(lambda values: np.maximum(values, 0)).sums(), graph)

    @property
    def ratio(self) -> float:
        """Largest flux of a face over the smallest, for equal differences."""
        joined = self.reach[self.reach > 0]
        return float(joined.max() / joined.min())

    def rounded(self, values: _Values, state_bits: int) -> _Weights | None:
        """Integer weights; None where their sums do not fit their states."""
        largest = (1 << (state_bits - 1)) - 1
        most = float(self.reach.max())
        rows_largest = _largest_of_rows(self.rows)
        smallest = float(rows_largest[rows_largest > 0].min())
        # A drive is a sum over the whole span, a carry, and half a threshold of residue.
        room = min(0.9 * largest / values.span / most, (LARGEST_WEIGHT - 1) / float(rows_largest.max()))
        exponent = min(LARGEST_EXPONENT, math.floor(math.log2(room / SAFETY_OF_ROUNDING)))
        if exponent < 2:
            return None
        scale = SAFETY_OF_ROUNDING * 2.0**exponent
        wanted = max(1.0, FEWEST_WEIGHT / (scale * smallest))
        digits = min(MOST_DIGITS, max(2, 1 + math.ceil(math.log2(wanted) / DIGIT_BITS)))
        weights = _zero_sums(self.rows.valued(lambda v: np.rint(v * scale * 2.0 ** (DIGIT_BITS * (digits - 1)))))
        for number, part in enumerate(split(weights.values, digits)):
            digit = Rows(weights.starts, weights.columns, part, weights.width)
            reach = abs(digit).sums() + abs(digit.sums())  # twice the larger of what it adds and what it takes off
            spare = (2 if number + 1 < digits else 1 << exponent) + 2 * values.span
            if int(reach.max()) * values.span + spare > 2 * largest:
                return None
        return _Weights(weights, digits, exponent)


def _zero_sums(rows: Rows) -> Rows:
    """Rows of integers that sum to 0: the largest entry of each takes what rounding left over."""
    values = rows.values.astype(np.int64)
    exact = Rows(rows.starts, rows.columns, values, rows.width)
    lacking = exact.sums()
    # Of equal entries the first is changed: sorted by row, and then by size.
    order = np.lexsort((-np.arange(values.size), abs(values), rows.row_of))
    occupied = rows.lengths > 0
    largest = order[rows.starts[1:][occupied] - 1]
    values[largest] -= lacking[occupied]
    return exact.valued(lambda _: values).without_zeros()


def _integer_graph(graph: CellGraph, limits: OperatingRange, values: _Values, weights: _Weights) -> IntegerGraph:
    mesh, shown = graph.mesh, values.reservoirs(graph)
    scale = _scale(graph, weights.rows)
    full = weights.exponent + DIGIT_BITS * (weights.digits - 1)
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
    seen, before, into = _levels(values, mesh.holders)
    # Levels count from the lowest, masses from 0.
    offset = values.lowest if values.shift else 0
    of_reservoirs = weights.rows.between(mesh.cells, mesh.holders)
    biases = split(of_reservoirs @ (shown - offset), weights.digits)
    inputs = weights.rows.between(0, mesh.cells)
    faces, between = _faces(values, weights, seen, biases, inputs, mesh.holders if seen == MEMBRANE else mesh.cells)
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
        return int(_largest_of_rows(weights).sum()) / math.fsum(_largest_of_rows(graph.fluxes))
    cells = graph.mesh.cells
    return int(abs(weights.between(0, cells).values).sum()) / math.fsum(abs(graph.fluxes.between(0, cells).values))


def _largest_of_rows(rows: Rows) -> NDArray[np.float64] | Integers:
    largest = np.zeros(rows.shape[0], rows.values.dtype)
    np.maximum.at(largest, rows.row_of, abs(rows.values))
    return largest


def _levels(values: _Values, holders: int) -> tuple[str, tuple[Population, ...], tuple[Synapse, ...]]:
    """Name of the population that faces see, the populations up to it, and their synapses."""
    if not values.shift:
        return MEMBRANE, (), ()
    lower, upper = split(values.inverse_volume, 2)
    cells, top = lower.size, values.shift - DIGIT_BITS
    heaviest = values.farthest << values.shift
    most = int((abs(lower) * (heaviest // values.inverse_volume + 1)).max(initial=0))
    raised = most // _DIGIT + 1
    own = (1 << (top - 1)) - (values.lowest << top) - raised
    populations = (
        kinds.rectifiers(LEVEL_DIGIT, np.full(cells, raised << DIGIT_BITS, np.int64), DIGIT_BITS),
        kinds.rectifiers(LEVEL, np.full(cells, own, np.int64), top),
    )
    return (
        LEVEL,
        populations,
        (
            *synapses(MEMBRANE, LEVEL_DIGIT, _explicit(diagonal(lower, holders))),
            *synapses(MEMBRANE, LEVEL, _explicit(diagonal(upper, holders))),
            *_ones(LEVEL_DIGIT, LEVEL, cells),
        ),
    )


@dataclass(frozen=True)
class _Between:
    populations: tuple[Population, ...]
    synapses: tuple[Synapse, ...]


def _faces(
    values: _Values, weights: _Weights, seen: str, biases: tuple[Integers, ...], inputs: Rows, width: int
) -> tuple[Integers, _Between]:
    """Biases of the faces, and the populations and synapses of the digits of their sums."""
    names = (*FLUX_DIGITS[len(FLUX_DIGITS) + 1 - weights.digits :], FLUX)
    reached = values.farthest if seen == MEMBRANE else values.span
    populations, made, carried = list[Population](), list[Synapse](), 0
    bias = np.zeros(0, np.int64)
    parts = split(inputs.values, weights.digits)
    for number, (name, part) in enumerate(zip(names, parts, strict=True)):
        rows = Rows(inputs.starts, inputs.columns, part, inputs.width).without_zeros()
        bias = biases[number] - carried
        made += synapses(seen, name, _explicit(Rows(rows.starts, rows.columns, rows.values, width)))
        if number:
            made += _ones(names[number - 1], name, bias.size)
        if name != FLUX:
            # Half a unit of the next digit rounds to the nearest; what is raised here is taken off there.
            least = int((abs(rows).sums() * (reached + 1) + abs(biases[number])).max(initial=0)) + 2 * carried
            carried = least // _DIGIT + 2
            populations.append(kinds.rectifiers(name, bias + _DIGIT // 2 + (carried << DIGIT_BITS), DIGIT_BITS))
    return bias, _Between(tuple(populations), tuple(made))


def _explicit(rows: Rows) -> Explicit:
    return Explicit(rows.starts, rows.columns, rows.values, rows.width)


def _ones(source: str, target: str, size: int) -> tuple[Synapse, ...]:
    return synapses(source, target, _explicit(diagonal(np.ones(size, np.int64))))
