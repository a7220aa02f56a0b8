"""Departures of a run from its operating window: values, differences across a face and currents."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pisnn_deploy.core.errors import OverflowViolation
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.graph.semantics import Semantics, State

CALM_PART = 4
"""When two runs are compared, faces are left out where the calm one uses more than this part of its limit."""


def departure(graph: IntegerGraph, state: State, calm: State | None = None) -> str:
    """The first value or difference that is outside the operating window, as part of a sentence.

    Parameters
    ----------
    calm : State, optional
        State of another run; what is outside there too, or nearly so, does not count.

    Returns
    -------
    str
        Empty if nothing is outside.
    """
    window, scale = graph.window, graph.value_per_quantum
    levels = graph.sole_field.levels(state.mass[: graph.mesh.cells])
    wrong = (levels < window.lower) | (levels > window.upper)
    if calm is not None:
        others = graph.sole_field.levels(calm.mass[: graph.mesh.cells])
        wrong &= (others >= window.lower) & (others <= window.upper)
    if wrong.any():
        cell = int(wrong.argmax())
        return (
            f"cell {cell} has the value {levels[cell] * scale:.6g}, outside the operating range "
            f"{window.lower * scale:g} to {window.upper * scale:g},"
        )
    if window.difference is not None:
        steep, limits = _differences(graph, state), _largest_differences(graph, window.difference)
        wrong = steep > limits
        if calm is not None:
            wrong &= _differences(graph, calm) <= limits // CALM_PART
        if wrong.any():
            face = int(wrong.argmax())
            return (
                f"values differ by {steep[face] * scale:.6g} across {_face(graph, face)}, where the operating range "
                f"allows {limits[face] * scale:.6g},"
            )
    return ""


def strong_current(graph: IntegerGraph, state: State, calm: State | None = None) -> str:
    """The first current of the last PDE step that is outside the operating window, as `departure` has values.

    Parameters
    ----------
    calm : State, optional
        State of another run; what is outside there too, or nearly so, does not count.
    """
    limit = graph.window.current
    if limit is None:
        return ""
    strong = np.abs(state.current)
    wrong = strong > limit
    if calm is not None:
        wrong &= np.abs(calm.current) <= limit // CALM_PART
    if not wrong.any():
        return ""
    face = int(wrong.argmax())
    return f"the current of {_face(graph, face)} is {strong[face] / limit:.3g} times what the operating range allows"


@dataclass(frozen=True)
class Followed:
    """A run that was checked at its start and after each PDE step.

    Attributes
    ----------
    mass : int64 array [cells]
        Masses at the end, or where the run left the operating window.
    residue : int64 array [channels]
        Residues there; empty if a width was exceeded or the run did not begin.
    step : int
        Number of PDE steps run.
    departure : str
        Quantity that left the operating window or its width, with the PDE step; empty if none did.
    overflowed : bool
        Whether a width was exceeded.
    starts_inside : bool
        Whether the initial field lies within the operating window.
    """

    mass: Integers
    step: int
    departure: str
    overflowed: bool
    starts_inside: bool = True
    residue: Integers = field(default_factory=lambda: np.zeros(0, np.int64))


def follow(graph: IntegerGraph, mass: Integers, steps: int) -> Followed:
    """Run a field until something leaves the operating window.

    Parameters
    ----------
    mass : int64 array [cells]
        Masses at the start, in quanta.
    steps : int
        Most PDE steps to run; with 0 only the start is checked.
    """
    semantics, step = Semantics(graph), 0
    try:
        state = semantics.start(mass)
        outside = departure(graph, state)
        if outside:
            return Followed(mass, 0, f"{outside} at PDE step 0", False, False)
        while not outside and step < steps:
            state = semantics.step(state, step)
            strong = strong_current(graph, state)
            if strong:
                return Followed(mass, step, f"{strong} at PDE step {step}", False)
            step += 1
            mass = state.mass[: graph.mesh.cells]
            outside = departure(graph, state)
    except OverflowViolation as violation:
        return Followed(mass, step, overflow_text(graph, violation), True)
    text = f"{outside} at PDE step {step}" if outside else ""
    return Followed(mass, step, text, False, residue=state.residue)


def overflow_text(graph: IntegerGraph, violation: OverflowViolation) -> str:
    """Describe an overflow, with the neighbouring cells."""
    mesh = graph.mesh
    if violation.population == "flux" and violation.index < mesh.faces:
        return f"{violation}, beside {_cells(graph, violation.index)}"
    return str(violation)


def _differences(graph: IntegerGraph, state: State) -> Integers:
    mesh = graph.mesh
    shown = np.concatenate([graph.sole_field.levels(state.mass[: mesh.cells]), graph.sole_field.reservoirs])
    return np.asarray(np.abs(shown[mesh.target] - shown[mesh.source]), np.int64)


def _largest_differences(graph: IntegerGraph, difference: int) -> Integers:
    """Largest allowed differences across faces; a reservoir is at half a cell's distance."""
    beside = np.maximum(graph.mesh.source, graph.mesh.target) >= graph.mesh.cells
    return np.where(beside, difference // 2, difference)


def _face(graph: IntegerGraph, face: int) -> str:
    return f"face {face} beside {_cells(graph, face)}"


def _cells(graph: IntegerGraph, face: int) -> str:
    ends = sorted(int(end[face]) for end in (graph.mesh.source, graph.mesh.target))
    cells = [str(end) for end in ends if end < graph.mesh.cells]
    return f"cell {cells[0]}" if len(cells) == 1 else f"cells {' and '.join(cells)}"
