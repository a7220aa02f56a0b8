"""Trained fluxes: along each axis a layer of rectifiers at every face, whose output weights go to the channels.

With quanta that are powers of two, all weights are the trained integers. Rounding is to the nearest, because half a
unit of an activation is part of its bias. The constant of a flux, which trainings on periodic boxes leave open, is
chosen so that fluxes of constant states are those of the law on average, as walls and ledgers need.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.construct.assembly import Assembly, Signal, Tap, reach, tap
from pisnn_deploy.compiler.construct.channels import MOST_EXPONENT, TooFine
from pisnn_deploy.compiler.construct.circuit import TooWide
from pisnn_deploy.compiler.construct.fixed_point import Fixed
from pisnn_deploy.compiler.construct.fluxes import Crossing
from pisnn_deploy.compiler.construct.grid import Faces
from pisnn_deploy.compiler.construct.plan import Clock, Plan, Term
from pisnn_deploy.compiler.construct.stencils import folded_cells
from pisnn_deploy.core.arithmetic import signed_width
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.laws.calculus import ZERO
from pisnn_deploy.laws.expression import evaluate, free_names
from pisnn_deploy.laws.flux_network import FluxNetwork, TrainedFluxes
from pisnn_deploy.laws.law import COORDINATES, Law, split_level
from pisnn_deploy.programs.interval import Interval
from pisnn_deploy.programs.neurons import rectifier

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
CLOCK_EXPONENT = 5
"""Of the time step as an integer; rates of sources then have the bits that they have in other schemes."""
MOST_BIAS = 2.0**52
"""In units of what arrives; beyond, float64 has no exact integers."""
CONSTANT_STATES = 4096
"""Constant states that choose the constant of a flux, about."""


def trained_clock(law: Law, fluxes: TrainedFluxes, spacing: Sequence[float]) -> Clock:
    """Time step of trained fluxes on a mesh.

    Without a length scale, fluxes of waves hold for any ratio of time step to width, those of diffusion for any ratio
    of time step to squared width.

    Raises
    ------
    UsageError
        The mesh has other widths than the trained ones, and the law a length scale, or its cells another shape.
    """
    ratios = [width / trained for width, trained in zip(spacing, fluxes.spacing, strict=True)]
    order, step = _order_of_time(law), fluxes.time_step
    if not all(math.isclose(ratio, 1.0, rel_tol=1e-9) for ratio in ratios):
        if order is None or not all(math.isclose(ratio, ratios[0], rel_tol=1e-9) for ratio in ratios):
            own, other = (" x ".join(f"{width:g}" for width in widths) for widths in (fluxes.spacing, spacing))
            raise UsageError(
                f"`mesh`: the fluxes are trained for cells of {own}, not {other}; train them for this mesh, or leave "
                "`mesh` out"
            )
        step *= ratios[0] ** order
    return Clock(1, CLOCK_EXPONENT, step * 2.0**CLOCK_EXPONENT)


def _order_of_time(law: Law) -> int | None:
    """Power of the cell width that the time step of a law without a length scale goes with; None with one."""
    waves = any(term != ZERO for axis in law.flux for term in axis.values())
    spreads = any(term != ZERO for term in law.diffusion.values()) or bool(law.level)
    bends = any(split_level(level)[1] for level in law.level.values())
    if law.sources or law.exchange or bends or waves == spreads:
        return None
    return 1 if waves else 2


def require_place_independent(law: Law) -> None:
    """Refuse fluxes that a network cannot compute from the fields alone.

    Raises
    ------
    UsageError
        Names the term that depends on place.
    """
    moving = ("law.flux", "law.diffusion", "law.level")
    for place, term in law.terms():
        names = free_names(term) & {*COORDINATES, *law.given}
        if place.startswith(moving) and names:
            raise UsageError(f"{place}: depends on {min(names)}; trained fluxes depend on the fields alone")
    for name in law.along:
        raise UsageError(f"law.diffusion.{name}: differs from axis to axis; trained fluxes have one diffusivity")


class _Hidden:
    """Rectifiers of the faces of an axis.

    Attributes
    ----------
    faces : int64 array [faces]
        Faces of the axis that carry a field.
    lower, upper : float64 array [faces, hidden]
        Range of each activation before its rounding, in units of the scales.
    fraction : int
        Fraction bits of what arrives.
    """

    def __init__(self, plan: Plan, network: FluxNetwork, faces: Faces, carried: Integers) -> None:
        self.network, self.faces, self.axis = network, carried, faces.axis
        self.where = f"fluxes along {COORDINATES[faces.axis]}"
        self.size = int(carried.size * network.bias.size)
        self._assembly: Assembly = plan.assembly
        self._taps, constant = self._connections(plan, faces)
        self.fraction = max(entry.signal.fraction for entry in self._taps)
        bias = (constant + network.bias) * 2.0**self.fraction
        if np.abs(bias).max() >= MOST_BIAS:
            raise TooWide(f"a bias is more than {MOST_BIAS:g}", self.where)
        self._bias = np.rint(bias).astype(np.int64).reshape(-1)
        self._ends = [end + self._bias for end in reach(self._taps, self.size, self.fraction)]
        self._word = plan.word
        self._require_word()
        self.lower, self.upper = (
            np.maximum(end, 0).reshape(carried.size, -1) * 2.0**-self.fraction for end in self._ends
        )
        self._shift = 0
        self._fractions: list[int] = []

    def _require_word(self) -> None:
        bits = signed_width(int(self._ends[0].min()), int(self._ends[1].max()))
        if bits > self._word:
            reason = f"a sum needs {bits} signed bits; {self._word} are possible"
            raise TooWide(reason, self.where, bits - self._word)

    def _connections(self, plan: Plan, faces: Faces) -> tuple[list[Tap], Floats]:
        """Connections to the rectifiers, and what values outside the domain add, float64 [faces, hidden]."""
        assert plan.trained is not None
        network, grid, axis = self.network, plan.grid, self.axis
        left = faces.left[self.faces]
        inside = np.where(left >= 0, left, faces.right[self.faces])
        below = dict(enumerate(np.unravel_index(inside, grid.shape)))
        below[axis] = below[axis] - (left < 0)
        hidden = network.bias.size
        constant = np.zeros((self.faces.size, hidden))
        whole = np.rint(network.weight * 2.0**network.weight_exponent).astype(np.int64)
        taps = []
        for number, (name, scale) in enumerate(zip(plan.law.fields, plan.trained.scale_exponents, strict=True)):
            # What holders send, in units of the scale times the unit of the weights.
            signal = plan.signals[name]
            signal = replace(signal, fraction=signal.fraction + scale + network.weight_exponent)
            for position, offset in enumerate(network.offsets.tolist()):
                weights = whole[:, number, position]
                (units,) = weights.nonzero()
                if not units.size:
                    continue
                cells = folded_cells(plan, name, {a: below[a] + offset[a] for a in below})
                column = np.ravel_multi_index([cells.places[a] for a in sorted(below)], grid.shape).astype(np.int64)
                column[cells.weight == 0] = -1
                row = np.arange(self.faces.size)[:, None] * hidden + units
                weight = cells.weight[:, None] * weights[units]
                taps.append(tap(signal, row.reshape(-1), np.repeat(column, units.size), weight.reshape(-1)))
                constant[:, units] += cells.constant[:, None] * network.weight[units, number, position] * 2.0**-scale
                for entry in cells.taps:
                    given = replace(entry.signal, fraction=entry.signal.fraction + scale + network.weight_exponent)
                    row = entry.row[:, None] * hidden + units
                    weight = entry.weight[:, None] * weights[units]
                    taps.append(tap(given, row.reshape(-1), np.repeat(entry.column, units.size), weight.reshape(-1)))
        return taps or [tap(signal, *(np.zeros(0, np.int64),) * 3)], constant

    def round_to(self, fraction: int) -> None:
        """Give activations some fraction bits, at most those of what arrives; halves are rounded upwards.

        Raises
        ------
        TooWide
            Sums that just fit a word do not with half a unit more.
        """
        self._shift = self.fraction - fraction
        if self._shift:
            self._bias = self._bias + (1 << (self._shift - 1))
            self._ends = [end + (1 << (self._shift - 1)) for end in self._ends]
            self._require_word()

    def ends(self, value: Fixed) -> tuple[Floats, Floats]:
        """Least and largest integer that each rectifier sends."""
        return self._sent

    @property
    def _sent(self) -> tuple[Floats, Floats]:
        low, high = (np.floor(np.maximum(end, 0) * 2.0**-self._shift) for end in self._ends)
        return low, high

    def send(self, value: Fixed, fraction: int) -> int:
        """Send activations as integers of `fraction` fraction bits."""
        self._fractions.append(value.fraction)
        return len(self._fractions) - 1

    def finish(self) -> list[Signal]:
        """Make the population."""
        name = f"hidden-{COORDINATES[self.axis]}"
        self._assembly.populations.append(Population(name, self.size, rectifier(self._shift), {"bias": self._bias}))
        self._assembly.connect(self._taps, name, self.size, "arrival", self.fraction)
        low, high = self._sent
        interval = Interval(int(low.min()), int(high.max()))
        return [Signal(name, self.size, fraction, interval) for fraction in self._fractions]


def trained_fluxes(plan: Plan, sides_of: Mapping[str, list[Crossing]]) -> dict[tuple[str, int], Term | float]:
    """Build the hidden layers of the fluxes of all fields through all faces, diffusion included.

    Parameters
    ----------
    sides_of : mapping of str to list of Crossing
        Sides that carry each field.

    Returns
    -------
    dict of (str, int) to Term
        By field and axis.

    Raises
    ------
    TooWide, TooFine
        Quanta are too fine for what arrives at a rectifier, or too coarse for the currents.
    """
    assert plan.trained is not None
    fluxes, law = plan.trained, plan.law
    layers = []
    for faces, network in zip(plan.grid.faces, fluxes.networks, strict=True):
        at_sides = [c.faces for crossings in sides_of.values() for c in crossings if c.axis == faces.axis]
        carried = np.concatenate([np.arange(faces.inner, dtype=np.int64), np.unique(np.concatenate([*at_sides, []]))])
        layers.append(_Hidden(plan, network, faces, carried.astype(np.int64)))
    constants = [_constants(plan, network, axis) for axis, network in enumerate(fluxes.networks)]
    fraction = _fraction_of_currents(plan, layers, constants)
    terms: dict[tuple[str, int], Term | float] = {}
    for layer, constant in zip(layers, constants, strict=True):
        network = layer.network
        layer.round_to(fraction - network.output_exponent)
        whole = np.rint(network.output * 2.0**network.output_exponent).astype(np.int64)
        for number, (name, scale) in enumerate(zip(law.fields, fluxes.scale_exponents, strict=True)):
            (units,) = whole[number].nonzero()
            always = float(constant[number]) * 2.0 ** (scale + plan.clock.exponent)
            if not units.size:
                if name in law.flux[layer.axis]:
                    terms[name, layer.axis] = always
                continue
            column = np.arange(layer.faces.size)[:, None] * network.bias.size + units
            terms[name, layer.axis] = Term(
                layer,
                Fixed("activation", fraction - scale - plan.clock.exponent),
                np.repeat(layer.faces, units.size),
                column.reshape(-1),
                np.tile(whole[number, units], layer.faces.size),
                is_sent=True,
                constant=always,
            )
    return terms


def _fraction_of_currents(plan: Plan, layers: Sequence[_Hidden], constants: Sequence[Floats]) -> int:
    """Fraction bits of currents, as many as fit, in units of the scales."""
    assert plan.trained is not None
    fraction = min(layer.fraction + layer.network.output_exponent for layer in layers)
    for number, (name, scale) in enumerate(zip(plan.law.fields, plan.trained.scale_exponents, strict=True)):
        own = plan.bits[name] + scale
        fraction = min(fraction, own + MOST_EXPONENT)
        for layer, constant in zip(layers, constants, strict=True):
            output = layer.network.output[number]
            positive, negative = np.maximum(output, 0), np.minimum(output, 0)
            high = layer.upper @ positive + layer.lower @ negative + constant[number]
            low = layer.lower @ positive + layer.upper @ negative + constant[number]
            largest = max(float(high.max(initial=0)), -float(low.min(initial=0)))
            roundings = 2 + float(np.abs(output).sum()) * 2.0**layer.network.output_exponent
            while largest * 2.0**fraction + roundings + 2.0 ** (fraction - own - 1) >= 2.0 ** (plan.word - 1):
                fraction -= 1
        if fraction <= own:
            raise TooFine(name, own + 1 - fraction, layers[0].where)
    return fraction


def _constants(plan: Plan, network: FluxNetwork, axis: int) -> Floats:
    """Constant of each flux for which constant states have the law's fluxes, in the middle of their errors.

    Returns
    -------
    float64 array [fields]
        In units of the scales.
    """
    assert plan.trained is not None
    names, scales = plan.law.fields, 2.0 ** np.array(plan.trained.scale_exponents, np.float64)
    count = max(2, int(CONSTANT_STATES ** (1 / len(names))))
    lattice = [np.linspace(*plan.ranges[name], count) for name in names]
    states = np.array([*itertools.product(*lattice)])
    window = np.repeat((states / scales)[:, :, None], len(network.offsets), axis=2)
    learned = network.flux(window) - network.constant
    known: dict[str, float | Floats] = dict(zip(names, states.T, strict=True))
    constants = np.zeros(len(names))
    for number, name in enumerate(names):
        flux = evaluate(plan.law.flux[axis].get(name, ZERO), known) * plan.clock.time_step / plan.grid.spacing[axis]
        apart = flux / scales[number] - learned[:, number]
        constants[number] = (float(apart.max()) + float(apart.min())) / 2
    return constants
