"""Growth of waves: amplification factors of the integer weights, and test runs of a small wave."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.analysis.departure import departure, overflow_text, strong_current
from pisnn_deploy.compiler.passes.limit import unlimited
from pisnn_deploy.compiler.passes.prove import stability_claim
from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.core.errors import OverflowViolation, UnstableError
from pisnn_deploy.graph import FloatGraph, IntegerGraph
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.graph.kinds import face_of, known_face
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.mesh import AXES
from pisnn_deploy.physics.clock import damped_leak
from pisnn_deploy.physics.symbol import delayed_root, gain_along, largest_root

Floats = NDArray[np.float64]

MARGIN = 1e-9
"""Tolerance for rounding in the modulus of an amplification factor."""
WAVES_ALONG = {1: 1025, 2: 129, 3: 33}
"""Number of waves along each axis that are checked for growth."""
CONSTANTS = 33
"""Number of constant fields around which a nonlinear network is examined, besides one between any two kinks."""
MOST_CONSTANTS = 512
"""Most fields between kinks; the widest gaps are used."""
FASTEST = 1.25
"""Largest accepted factor; a larger one is refused even if no run leaves the operating range."""
MOST_STEPS = 2000
CELL_STEPS = 4_000_000
"""Most PDE steps, and most cells times PDE steps, for which a small wave is followed."""
PART = 1 / 16
"""Amplitude of that wave as a part of the operating range."""
GROWN = 4.0
"""Factor by which a wave of a linear network must grow to count; a leak doubles some waves for a while."""
HORIZONS = 2
"""Number of horizons for which a nonlinear network is followed; its waves may die out by themselves."""
BLOWN_UP = 4.0
"""Distance from the operating range, in its widths, at which a float field counts as unstable."""


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
        Constant field around it, in quanta.
    """

    factor: float
    turns: tuple[float, ...]
    level: int

    @property
    def text(self) -> str:
        """Description, such as ``waves of 2 cells along x``."""
        lengths = [
            f"{2 * math.pi / abs(turn):.3g} cells along {AXES[axis]}" for axis, turn in enumerate(self.turns) if turn
        ]
        return f"waves of {' and '.join(lengths)}"


def worst_wave(graph: IntegerGraph) -> WorstWave | None:
    """The wave that grows most, or decays least; None where there are no waves, because cells differ.

    Parameters
    ----------
    graph : IntegerGraph
        Of a network with hidden layers the largest factor around constant fields of the operating range; of one with a
        limiter that of its flux network alone.
    """
    face = face_of(graph)
    if face is None or not graph.operator:
        return None
    axes = len(graph.spec.lengths)
    turn = np.linspace(-np.pi, np.pi, WAVES_ALONG[axes])
    waves = np.stack([grid.reshape(-1) for grid in np.meshgrid(*(turn,) * axes, indexing="ij")])
    waves = waves[:, waves.any(axis=0)]
    modes = []
    for level in _constants(graph):
        gains = gain_along(flux_kernels(graph, int(level)), graph.model_spec.positions, waves)
        factors = np.abs(delayed_root(gains) if face.is_late else largest_root(gains, face.leak))
        worst = int(factors.argmax())
        modes.append(WorstWave(float(factors[worst]), tuple(waves[:, worst].tolist()), int(level)))
    return max(modes, key=lambda mode: mode.factor)


def _constants(graph: IntegerGraph) -> Integers:
    """Constant fields to examine, in quanta: one for a linear network, else some of the range and one between kinks."""
    lower, upper = graph.window.lower, graph.window.upper
    if not graph.between_fields:
        return np.array([(lower + upper) // 2])
    margin = 2 * PART * (upper - lower)
    first, last = lower + margin, upper - margin
    kinks = np.array([first, last])
    for number in range(1, len(graph.operator)):
        values = kinks[None, :] * graph.operator[0].weight.sum(axis=1)[:, None] + graph.operator[0].bias[:, None]
        for before, layer in zip(graph.operator[: number - 1], graph.operator[1:number], strict=True):
            values = layer.weight @ (np.maximum(values, 0) / 2.0**before.shift) + layer.bias[:, None]
        left, right = values[:, :-1], values[:, 1:]
        unit, place = np.nonzero(left * right < 0)
        part = left[unit, place] / (left[unit, place] - right[unit, place])
        kinks = np.unique(np.concatenate([kinks, kinks[place] + part * np.diff(kinks)[place]]))
    between = (kinks[:-1] + kinks[1:]) / 2
    if between.size > MOST_CONSTANTS:
        between = between[np.argsort(np.diff(kinks))[-MOST_CONSTANTS:]]
    levels = np.concatenate([np.linspace(first, last, CONSTANTS), between])
    return np.asarray(np.unique(np.rint(levels)), np.int64)


def flux_kernels(graph: IntegerGraph, level: int) -> tuple[Floats, ...]:
    """Flux through the faces normal to each axis in units of the cell value per cell value, around a constant field.

    Returns
    -------
    tuple of float64 array [positions]
        The same one for all axes unless each has its own.
    """
    first, *rest = graph.operator
    kernel = first.weight.astype(np.float64)
    drive = first.weight @ np.full(first.weight.shape[1], level, np.int64) + first.bias
    shift = first.shift
    for layer in rest:
        active = drive > 0
        kernel = (layer.weight * active / 2.0**shift) @ kernel
        drive = layer.weight @ (np.where(active, drive, 0) >> shift) + layer.bias
        shift = layer.shift
    return graph.model_spec.kernels(kernel / (1 << known_face(graph).exponent))


def growth_text(graph: IntegerGraph, horizon: int) -> str:
    """Describe how a small wave or noise on a constant field grew; empty if it did not.

    Only graphs whose stability is not proved are run: from the constant alone and with the wave, whose difference is
    followed. A limiter is left out: it bounds masses, and modes still grow until it cuts them. Growth that is too slow
    to show in the run is reported by `pisnn_deploy.compiler.warnings`.

    Parameters
    ----------
    horizon : int
        PDE steps to the problem's horizon.
    """
    graph = without_limiter(graph)
    claim = None if graph.certificate is None else graph.certificate.stability
    worst = None if claim is None or claim.status != "none" else worst_wave(graph)
    if claim is None or claim.status != "none" or worst is None:
        return ""
    if claim.method != "growth" and worst.factor <= 1 + MARGIN:
        return ""
    shape = worst.text if worst.factor > 1 + MARGIN else "small waves"
    calm = np.full(graph.mesh.cells, worst.level, np.int64)
    stirred = calm + _ripple(graph, worst)
    steps = max(1, min(HORIZONS * horizon if graph.between_fields else MOST_STEPS, CELL_STEPS // graph.mesh.cells))
    semantics = Semantics(graph)
    first = int(np.abs(stirred - calm).max())
    states = semantics.start(calm), semantics.start(stirred)
    for step in range(1, steps + 1):
        try:
            states = semantics.step(states[0], step - 1), semantics.step(states[1], step - 1)
        except OverflowViolation as violation:
            return f"{shape} grow: {overflow_text(graph, violation)}"
        masses = [state.mass[: graph.mesh.cells] for state in states]
        if graph.between_fields:
            outside = departure(graph, *states[::-1]) or strong_current(graph, *states[::-1])
            if outside:
                return f"{shape} grow: {outside} at PDE step {step}"
            continue
        size = int(np.abs(masses[1] - masses[0]).max())
        if size >= GROWN * first:
            return f"{shape} grow: {size / first:.3g} times as large at PDE step {step}"
    if worst.factor > FASTEST:
        around = f" around the value {worst.level * graph.value_per_quantum:.3g}" if graph.between_fields else ""
        return f"{shape}{around} grow by a factor of {worst.factor:.3g} in each PDE step"
    return ""


def without_limiter(graph: IntegerGraph) -> IntegerGraph:
    """The graph without its limiter, with its stability claim proved anew; itself if it has none."""
    face = face_of(graph)
    if face is None or face.limiter is None or graph.certificate is None:
        return graph
    alone = unlimited(graph)
    return replace(alone, certificate=replace(graph.certificate, stability=stability_claim(alone)))


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


def require_stable_floats(graph: FloatGraph, lower: float, upper: float) -> None:
    """Refuse a float network that is unstable by itself, because no integers can fix that.

    Parameters
    ----------
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
    """Values of the cells after 0, 1, 2, ... PDE steps, even if the weights imply no time step."""
    spec, seen = graph.spec, start
    keep = 1 - (spec.leak if spec.damping is None else damped_leak(spec, graph.time_step)) / MEMORYLESS
    values, current = start, np.zeros(graph.mesh.faces)
    with np.errstate(over="ignore", invalid="ignore"):
        while True:
            yield values
            current = keep * current + graph.flux(seen)
            moved = values + graph.mesh.divergence(current)[: graph.mesh.cells]
            seen, values = values if graph.is_late else moved, moved
