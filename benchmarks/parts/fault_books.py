"""Bookkeeping of masses and residues, independent of the audit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pisnn_deploy.audit.recovery import Detection
from pisnn_deploy.faults.machine import Machine
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.runs import Run

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Broken:
    """First time step with a wrong total or invariant, and its place."""

    time: tuple[int, int]
    holders: tuple[int, ...]
    faces: tuple[int, ...]


class Witness(Machine):
    """Machine whose memories are checked after every time step, independently of the audit."""

    def __init__(self, graph: IntegerGraph, step: int, mass: Integers, flux: Integers, *rest: Any, **more: Any) -> None:
        super().__init__(graph, step, mass, flux, *rest, **more)
        self.broken: Broken | None = None
        self.last = self.time
        self._incidence = incidence_of(graph)
        self._theta = 1 << known_face(graph).exponent
        self._total = sum(mass.tolist())
        self._before = mass.copy(), flux[2].copy()
        self._fired = np.zeros(graph.mesh.faces, np.int64)
        self._last_phase = int(graph.period or 0) - 1

    def advance(self) -> None:
        """Do one time step, then check."""
        self.last = self.time
        super().advance()
        phase = self.last[1]
        mass, residue = self._before
        packets, current, left = self.flux
        if phase == 0:
            mass = mass + self._incidence @ self._fired
        lost = packets * self._theta + left - residue - current if phase == self._last_phase else left - residue
        holders, faces = np.flatnonzero(mass != self.mass), np.flatnonzero(lost)
        is_wrong = holders.size or faces.size or sum(self.mass.tolist()) != self._total
        if self.broken is None and is_wrong:
            self.broken = Broken(self.last, tuple(holders.tolist()), tuple(faces.tolist()))
        if phase == self._last_phase:
            self._fired = packets.copy()
        self._before = self.mass.copy(), left.copy()


def incidence_of(graph: IntegerGraph) -> sparse.csr_matrix:
    """Incidence matrix ``D``, [holders, faces], from the mesh alone."""
    faces = np.arange(graph.mesh.faces)
    ones = np.ones(faces.size, np.int64)
    return sparse.csr_matrix(
        (
            np.concatenate([-ones, ones]),
            (np.concatenate([graph.mesh.source, graph.mesh.target]), np.concatenate([faces, faces])),
        ),
        (graph.mesh.holders, faces.size),
    )


def judge(broken: Broken | None, time: tuple[int, int], detection: Detection | None, changed: bool) -> str:
    """Compare what happened with the audit's report.

    A violation that is found a time step late, or at a place where nothing is wrong, counts as missed.
    """
    if broken is None:
        return "detected" if detection is not None else "silent" if changed else "no effect"
    if detection is None or broken.time != time or detection.step != broken.time[0]:
        return "missed"
    wrong = broken.faces if detection.place.startswith("flux") else broken.holders
    named = int(detection.place.rpartition("[")[2].rstrip("]")) if "[" in detection.place else None
    return "detected" if named in wrong else "missed"


def rows_broken(graph: IntegerGraph, run: Run) -> bool:
    """Whether totals or invariants are wrong in the trace of an audited run."""
    trace = run.trace
    assert trace.flux is not None
    holdings = np.concatenate([trace.mass, trace.ledger], axis=1)
    totals = {sum(row.tolist()) for row in holdings}
    packets, current, residue = trace.flux[:, 0], trace.flux[:, 1], trace.flux[:, 2]
    moved = (incidence_of(graph) @ packets[1:].T).T
    kept = (packets[1:] << known_face(graph).exponent) + residue[1:] - residue[:-1]
    return len(totals) > 1 or bool((np.diff(holdings, axis=0) != moved).any() or (kept != current[1:]).any())
