"""Worker of a domain: steps, and exchanges rows with its neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pisnn_deploy.core.errors import InvariantViolation, OverflowViolation
from pisnn_deploy.graph.integer import FLUX, MEMBRANE
from pisnn_deploy.mesh import face_grid
from pisnn_deploy.runs.domains.cut import Domain
from pisnn_deploy.runs.fast import stepper_of
from pisnn_deploy.runs.run import Integers, RunState, start_of


@dataclass(frozen=True)
class Strip:
    """Rows of cells, and the faces on their upper side.

    Attributes
    ----------
    mass : int64 array [rows, cells of a row]
        Masses in quanta.
    current, residue : tuple of int64 array [rows, faces of a row]
        Values in flux units for each axis; the last row of an axis may have no faces.
    """

    mass: Integers
    current: tuple[Integers, ...]
    residue: tuple[Integers, ...]


@dataclass(frozen=True)
class Report:
    """Owned values of a domain at one PDE step.

    Attributes
    ----------
    mass : int64 array [own cells]
        Masses in quanta.
    ledger : int64 array [own reservoirs]
        Ledgers in quanta.
    transported, packets : int64 array [own faces]
        Packets in quanta: sum since the start, and of the last PDE step.
    """

    mass: Integers
    ledger: Integers
    transported: Integers
    packets: Integers


class DomainWorker:
    """Run of one domain.

    Parameters
    ----------
    steps : int
        Number of PDE steps of the whole run.
    halo : int
        Number of rows that neighbours copy.
    """

    def __init__(self, domain: Domain, steps: int, halo: int) -> None:
        graph = domain.graph
        start = start_of(graph, graph.initial)
        self._domain, self._halo = domain, halo
        self._stepper = stepper_of(graph, start, steps)
        self._stepper.begin()
        self._state = self._stepper.state()
        self._packets = np.zeros(graph.mesh.faces, np.int64)

    def edges(self) -> tuple[Strip, Strip]:
        """Return the lowest and the highest owned rows, which neighbours copy."""
        low, high = self._domain.own
        state = self._state
        return self._strip(state, low, low + self._halo), self._strip(state, high - self._halo, high)

    def advance(self, steps: int, below: Strip | None, above: Strip | None, reports: bool) -> None:
        """Copy the neighbours' rows into the halos, then run PDE steps.

        Parameters
        ----------
        below, above : Strip or None
            Rows of the neighbours; None without a neighbour.
        reports : bool
            Whether a report follows, which needs the packets of the last PDE step.

        Raises
        ------
        InvariantViolation, OverflowViolation
            A violation, with numbers of the whole mesh.
        """
        state = self._state
        low, high = self._domain.own
        if below is not None:
            self._paste(state, below, low - self._halo)
        if above is not None:
            self._paste(state, above, high)
        try:
            self._stepper.restore(state)
            if state.step == 0:
                self._require_range(state)
            before = steps - 1 if reports else steps
            if before:
                self._stepper.advance(before)
            if reports:
                transported = self._stepper.state().transported
                self._stepper.advance(1)
            self._state = self._stepper.state()
            if reports:
                self._packets = self._state.transported - transported
            self._require_range(self._state)
        except (InvariantViolation, OverflowViolation) as violation:
            raise self._in_the_whole(violation) from violation

    def report(self) -> Report:
        """Return the owned values."""
        domain, state = self._domain, self._state
        cells = domain.graph.mesh.cells
        return Report(
            state.mass[:cells][domain.owned_cells],
            state.mass[cells:][domain.owns_reservoir],
            state.transported[domain.owns_face],
            self._packets[domain.owns_face],
        )

    def _require_range(self, state: RunState) -> None:
        """Refuse owned values outside the operating range of the whole graph."""
        domain, mesh, window = self._domain, self._domain.graph.grid, self._domain.window
        values_ = np.concatenate([state.mass[: mesh.cells], domain.graph.sole_field.reservoirs])
        inside = values_[domain.owned_cells]
        outside = np.flatnonzero((inside < window.lower) | (inside > window.upper))
        if outside.size:
            value = int(inside[outside[0]])
            limit = window.lower if value < window.lower else window.upper
            index = int(outside[0]) + domain.owned_cells.start
            raise InvariantViolation("range", MEMBRANE, index, state.step, limit, value)
        # A difference belongs to the owner of its face. The upper cell may be in the halo, where it is exact.
        for name, limit_, values in (
            ("difference across face", window.difference, np.abs(values_[mesh.target] - values_[mesh.source])),
            ("flux current", window.current, np.abs(state.current)),
        ):
            if limit_ is None:
                continue
            limits = np.full(mesh.faces, limit_)
            if name.startswith("difference"):
                limits[np.maximum(mesh.source, mesh.target) >= mesh.cells] = limit_ // 2
            wrong = np.flatnonzero(domain.owns_face & (values > limits))
            if wrong.size:
                index = int(wrong[0])
                raise InvariantViolation("range", name, index, state.step, int(limits[index]), int(values[index]))

    def close(self) -> None:
        """Stop the threads."""
        self._stepper.close()

    def _strip(self, state: RunState, begin: int, end: int) -> Strip:
        mesh = self._domain.graph.grid
        mass = state.mass[: mesh.cells].reshape(mesh.shape[0], -1)[begin:end]
        current, residue = (
            tuple(np.ascontiguousarray(rows[begin - first : end - first]) for first, rows in self._by_rows(array))
            for array in (state.current, state.residue)
        )
        return Strip(np.ascontiguousarray(mass), current, residue)

    def _paste(self, state: RunState, strip: Strip, begin: int) -> None:
        mesh = self._domain.graph.grid
        state.mass[: mesh.cells].reshape(mesh.shape[0], -1)[begin : begin + self._halo] = strip.mass
        for array, strips in ((state.current, strip.current), (state.residue, strip.residue)):
            for (first, rows), source in zip(self._by_rows(array), strips, strict=True):
                target = rows[begin - first : begin - first + self._halo]
                target[:] = source[: len(target)]

    def _by_rows(self, array: Integers) -> list[tuple[int, Integers]]:
        """For each axis, the row on the lower side of its first faces, and a view of an array over faces by rows."""
        mesh, views = self._domain.graph.grid, []
        for axis in range(len(mesh.shape)):
            base, first, counts = face_grid(mesh, axis)
            size = int(np.prod(counts))
            views.append((first if axis == 0 else 0, array[base : base + size].reshape(counts[0], -1)))
        return views

    def _in_the_whole(
        self, violation: InvariantViolation | OverflowViolation
    ) -> InvariantViolation | OverflowViolation:
        domain = self._domain
        numbers = {
            MEMBRANE: np.concatenate([domain.cells, domain.reservoirs]),
            FLUX: domain.faces,
            "flux current": domain.faces,
            "difference across face": domain.faces,
        }.get(violation.population)
        if numbers is None or not 0 <= violation.index < numbers.size:
            return violation
        index = int(numbers[violation.index])
        if isinstance(violation, OverflowViolation):
            return OverflowViolation(
                violation.population, violation.quantity, index, violation.step, violation.value, violation.bits
            )
        return InvariantViolation(
            violation.kind, violation.population, index, violation.step, violation.expected, violation.found
        )
