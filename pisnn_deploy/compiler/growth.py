"""Whether waves grow: their amplification factors by the integer weights, and how far a small one gets when it runs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.arithmetic import MEMORYLESS
from pisnn_deploy.clock import damped_leak
from pisnn_deploy.errors import OverflowViolation, UnstableError
from pisnn_deploy.graph import FloatGraph, IntegerGraph
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.mesh import AXES
from pisnn_deploy.symbol import delayed_root, gain, largest_root

Floats = NDArray[np.float64]

MARGIN = 1e-9
"""Allowance for rounding in the modulus of an amplification factor."""
WAVES_ALONG = {1: 1025, 2: 129, 3: 33}
"""Waves along each axis on which growth is looked for."""
CONSTANTS = 33
"""Constant fields around which a network with hidden layers is looked at."""
MOST_STEPS = 2000
CELL_STEPS = 4_000_000
"""Most PDE steps, and cells times PDE steps, for which a small wave is followed."""
PART = 1 / 16
"""Amplitude of that wave, as part of the operating range."""
GROWN = 4.0
"""So many times as large, a wave of a linear network grows; a leak makes some waves twice as large for a time."""
HORIZONS = 2
"""A network with hidden layers is followed for so many of its problem's horizons: its waves may end by themselves."""
BLOWN_UP = 4.0
"""Widths of the operating range that a float field must be outside it to be called unstable."""


@dataclass(frozen=True)
class WorstWave:
    """The wave that a PDE step amplifies most.

    Attributes
    ----------
    factor : float
        Modulus of its amplification factor.
    turns : tuple of float
        Radians per cell along each axis.
    level : int
        Of the constant field around it, in quanta.
    """

    factor: float
    turns: tuple[float, ...]
    level: int

    @property
    def text(self) -> str:
        """Its length, such as ``waves of 2 cells along x``."""
        lengths = [
            f"{2 * math.pi / abs(turn):.3g} cells along {AXES[axis]}" for axis, turn in enumerate(self.turns) if turn
        ]
        return f"waves of {' and '.join(lengths)}"


def worst_wave(graph: IntegerGraph) -> WorstWave | None:
    """The wave that grows most, or decays least; None where there are no waves, because cells differ or are limited.

    Parameters
    ----------
    graph : IntegerGraph
        Of a network with hidden layers the largest factor around constant fields of the operating range.
    """
    if graph.medium is not None or graph.flux.share_shift is not None or not graph.operator:
        return None
    axes = len(graph.spec.lengths)
    turn = np.linspace(-np.pi, np.pi, WAVES_ALONG[axes])
    waves = np.stack([grid.reshape(-1) for grid in np.meshgrid(*(turn,) * axes, indexing="ij")])
    waves = waves[:, waves.any(axis=0)]
    found = []
    lower, upper = graph.window.lower, graph.window.upper
    margin = 2 * PART * (upper - lower)
    levels = np.linspace(lower + margin, upper - margin, CONSTANTS) if graph.hidden else [(lower + upper) // 2]
    for level in np.rint(levels).astype(np.int64):
        gains = gain(_kernel(graph, int(level)), graph.spec.positions, waves)
        factors = np.abs(largest_root(gains, graph.flux.leak) if graph.stock is None else delayed_root(gains))
        worst = int(factors.argmax())
        found.append(WorstWave(float(factors[worst]), tuple(waves[:, worst].tolist()), int(level)))
    return max(found, key=lambda one: one.factor)


def _kernel(graph: IntegerGraph, level: int) -> Floats:
    """Flux in units of the cell value per cell value, around a constant field, float64 [positions]."""
    first, *rest = graph.operator
    kernel = first.weight.astype(np.float64)
    drive = first.weight @ np.full(first.weight.shape[1], level, np.int64) + first.bias
    shift = first.shift
    for layer in rest:
        active = drive > 0
        kernel = (layer.weight * active / 2.0**shift) @ kernel
        drive = layer.weight @ (np.where(active, drive, 0) >> shift) + layer.bias
        shift = layer.shift
    return np.asarray(kernel[0] / (1 << graph.flux.threshold_exponent))


def growth_text(graph: IntegerGraph, horizon: int) -> str:
    """What became of a small wave or of noise on a constant field within the operating range; empty if it did not grow.

    Only graphs whose stability is not proved are run: from the constant alone and with the wave, whose difference is
    followed. What grows too slowly to be seen is told by `pisnn_deploy.compiler.warnings`.

    Parameters
    ----------
    graph : IntegerGraph
    horizon : int
        PDE steps to the problem's horizon.
    """
    claim = None if graph.certificate is None else graph.certificate.stability
    worst = worst_wave(graph)
    if claim is None or claim.status != "none" or worst is None:
        return ""
    if claim.method != "growth" and worst.factor <= 1 + MARGIN:
        return ""
    shape = worst.text if worst.factor > 1 + MARGIN else "small waves"
    calm = np.full(graph.mesh.cells, worst.level, np.int64)
    stirred = calm + _ripple(graph, worst)
    steps = max(1, min(HORIZONS * horizon if graph.hidden else MOST_STEPS, CELL_STEPS // graph.mesh.cells))
    semantics = Semantics(graph)
    first = int(np.abs(stirred - calm).max())
    states = semantics.start(calm), semantics.start(stirred)
    for step in range(1, steps + 1):
        try:
            states = semantics.step(states[0], step - 1), semantics.step(states[1], step - 1)
        except OverflowViolation as violation:
            return f"{shape} grow: {violation}"
        masses = [state.mass[: graph.mesh.cells] for state in states]
        if graph.hidden:
            outside = left_window(graph, masses[1])
            if outside and not left_window(graph, masses[0]):
                return f"{shape} grow: {outside} at PDE step {step}"
            continue
        size = int(np.abs(masses[1] - masses[0]).max())
        if size >= GROWN * first:
            return f"{shape} grow: {size / first:.3g} times as large at PDE step {step}"
    return ""


def _ripple(graph: IntegerGraph, worst: WorstWave) -> Integers:
    """A small wave, or noise where no wave is known to grow, int64 [cells]."""
    window, mesh = graph.window, graph.grid
    room = min(window.upper - worst.level, worst.level - window.lower)
    size = max(1.0, min(PART * (window.upper - window.lower), room / 2))
    if window.difference is not None:
        size = max(1.0, min(size, window.difference / 4))
    if worst.factor > 1 + MARGIN:
        places = np.meshgrid(*(np.arange(count) for count in mesh.shape), indexing="ij")
        phase = np.sum([turn * place for turn, place in zip(worst.turns, places, strict=True)], axis=0)
        shape = np.cos(phase).reshape(-1)
    else:
        shape = np.random.default_rng(0).uniform(-1.0, 1.0, mesh.cells)
    return np.asarray(np.rint(size * shape), np.int64)


def left_window(graph: IntegerGraph, mass: Integers) -> str:
    """The first cell that is outside the operating range, as part of a sentence; empty if none is."""
    levels, window = graph.levels(mass), graph.window
    outside = np.flatnonzero((levels < window.lower) | (levels > window.upper))
    if not outside.size:
        return ""
    cell, scale = int(outside[0]), graph.value_per_quantum
    return (
        f"cell {cell} has the value {levels[cell] * scale:.6g}, outside the operating range {window.lower * scale:g} "
        f"to {window.upper * scale:g},"
    )


def require_stable_floats(graph: FloatGraph, lower: float, upper: float) -> None:
    """Refuse a float network that is unstable by itself: no integers can mend that.

    Parameters
    ----------
    graph : FloatGraph
    lower, upper : float
        The operating range. Runs start from the problem's own field, moved into it, and from noise.

    Raises
    ------
    UnstableError
        A field is several widths of the range outside it.
    """
    width, middle = upper - lower, (lower + upper) / 2
    own = graph.initial if graph.initial.min() >= lower and graph.initial.max() <= upper else None
    noise = middle + PART * width * np.random.default_rng(0).uniform(-1.0, 1.0, graph.mesh.cells)
    steps = max(1, min(MOST_STEPS, CELL_STEPS // graph.mesh.cells))
    for start in (noise, own):
        if start is None:
            continue
        for step, values in enumerate(_float_fields(graph, start)):
            wrong = np.flatnonzero(~(np.abs(values - middle) <= BLOWN_UP * width))
            if wrong.size:
                cell = int(wrong[0])
                raise UnstableError(
                    "lower",
                    f"the float network {graph.spec.name} is unstable by itself, before any rounding: from a start "
                    f"within the operating range {lower:g} to {upper:g}, cell {cell} has the value {values[cell]:.6g} "
                    f"at PDE step {step}",
                    remedy="train it for a smaller time step, or choose a finer mesh if it has a damping",
                )
            if step == steps:
                break


def _float_fields(graph: FloatGraph, start: Floats) -> Iterator[Floats]:
    """Values of the cells after 0, 1, 2, ... PDE steps, also where the weights imply no time step."""
    spec, seen = graph.spec, start
    keep = 1 - (spec.leak if spec.damping is None else damped_leak(spec, graph.time_step)) / MEMORYLESS
    values, current = start, np.zeros(graph.mesh.faces)
    with np.errstate(over="ignore", invalid="ignore"):
        while True:
            yield values
            current = keep * current + graph.flux(seen)
            moved = values + graph.mesh.divergence(current)[: graph.mesh.cells]
            seen, values = moved if graph.stock is None else values, moved
