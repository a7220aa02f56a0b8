"""Errors of a model or a law on several meshes, the order at which they fall, and the part of them that quanta have."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pisnn_deploy.core.errors import CheckError, UsageError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import Floats
from pisnn_deploy.laws.problem import Solution, difference
from pisnn_deploy.laws.start import Fields
from pisnn_deploy.project.converge_request import ConvergeRequest, Norm, mesh_text
from pisnn_deploy.project.listener import UNHEARD, Listener
from pisnn_deploy.project.mesh_cases import MeshCase, mesh_case
from pisnn_deploy.project.own_problem import MOST_STEPS, steps_to_horizon
from pisnn_deploy.project.request import CompileRequest
from pisnn_deploy.project.starting import initial_mass
from pisnn_deploy.runs import Run, RunOptions, run_graph

BACKEND = "fast"


@dataclass(frozen=True)
class Errors:
    """Errors of one field on one mesh; None where unknown.

    Attributes
    ----------
    integers : float or None
        Error of the integers.
    without_quantum : float or None
        Error of the same scheme without quanta.
    quantum : float or None
        Difference of the two fields: the quantum's share.
    floats : float or None
        Error of the float scheme beside it.
    reference : float
        Largest error of a cell of the reference itself.
    """

    integers: float | None = None
    without_quantum: float | None = None
    quantum: float | None = None
    floats: float | None = None
    reference: float = 0.0


SERIES = ("integers", "without_quantum", "floats")
"""Errors that have an order."""
LABELS = {
    "integers": "integers",
    "without_quantum": "no quantum",
    "quantum": "quantum's share",
    "floats": "float scheme",
}
"""Names of all errors in tables and pictures."""


@dataclass(frozen=True)
class MeshErrors:
    """Result on a mesh.

    Attributes
    ----------
    mesh : tuple of int
        Cells along each axis.
    steps : int
        PDE steps that were run.
    time : float
        Physical time of the last one.
    errors : mapping of str to Errors
        By field.
    reason : str
        Why the run is not conserved; empty if it is.
    note : str
        Why there is no reference on this mesh.
    """

    mesh: tuple[int, ...]
    steps: int
    time: float
    drift: int
    errors: Mapping[str, Errors]
    reason: str = ""
    note: str = ""

    @property
    def width(self) -> float:
        """Cells per axis, inverted: proportional to the width of a cell."""
        return float(math.prod(self.mesh) ** (-1 / len(self.mesh)))


@dataclass(frozen=True)
class Convergence:
    """Errors on all meshes, coarsest first.

    Attributes
    ----------
    reference, without_quantum, floats : str
        What integers are compared with on the finest mesh, and what the other errors are of.
    """

    name: str
    norm: Norm
    reference: str
    without_quantum: str
    floats: str
    meshes: tuple[MeshErrors, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields."""
        return tuple(self.meshes[0].errors)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Cells along each axis of all meshes."""
        return [row.mesh for row in self.meshes]

    @property
    def title(self) -> str:
        """What was measured, for a picture."""
        return f"{self.name} at time {self.meshes[-1].time:.4g}"

    @property
    def compared(self) -> dict[str, str]:
        """What the errors beside those of the integers are of, by label."""
        difference = "difference of the two fields before it"
        return dict(zip(list(LABELS.values())[1:], (self.without_quantum, difference, self.floats), strict=True))

    @property
    def lines(self) -> dict[str, dict[str, list[float | None]]]:
        """Errors on all meshes by field and label."""
        return {field: {label: self.values(field, name) for name, label in LABELS.items()} for field in self.fields}

    def values(self, field: str, series: str) -> list[float | None]:
        """Errors on all meshes.

        Parameters
        ----------
        series : str
            Name of an attribute of `Errors`.
        """
        return [getattr(row.errors[field], series) for row in self.meshes]

    def orders(self, field: str, series: str = "integers") -> list[float | None]:
        """Order between each mesh and the one before it; None for the first, and where an error is unknown or 0."""
        errors, widths = self.values(field, series), [row.width for row in self.meshes]
        pairs = zip(errors, errors[1:], widths, widths[1:], strict=False)
        return [None, *(_slope([h, k], [e, f]) for e, f, h, k in pairs)]

    def fitted_order(self, field: str, series: str = "integers") -> float | None:
        """Slope of the line through the logarithms of all errors by least squares; None where one is unknown or 0."""
        return _slope([row.width for row in self.meshes], self.values(field, series))

    def require_conserved(self) -> None:
        """Fail if a run lost mass.

        Raises
        ------
        CheckError
            Says on which mesh, and why.
        """
        for row in self.meshes:
            if row.reason:
                raise CheckError(f"mesh {mesh_text(row.mesh)}: {row.reason}")

    def require_order(self, least: float) -> None:
        """Fail if the errors of a field fall more slowly than at an order.

        Errors that are 0 on the finest mesh have any order.

        Raises
        ------
        CheckError
            Says of which field, and what the orders are without quanta and in floats.
        """
        for field in self.fields:
            order, last = self.fitted_order(field), self.meshes[-1].errors[field]
            if last.integers == 0 or (order is not None and order >= least):
                continue
            if order is None:
                raise CheckError(
                    f"order of {field}: unknown, for an error is unknown or 0; expected at least {least:g}"
                )
            others = [(name, self.fitted_order(field, name)) for name in SERIES[1:]]
            known = [f"{name.replace('_', ' ')} {each:.2f}" for name, each in others if each is not None]
            raise CheckError(
                f"order of {field}: {order:.2f}, expected at least {least:g}"
                + (f" ({', '.join(known)})" if known else "")
            )

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of ``converge --json``."""
        return {
            "model": self.name,
            "norm": self.norm,
            "reference": self.reference,
            "without_quantum": self.without_quantum,
            "floats": self.floats,
            "verdict": "violated" if any(row.reason for row in self.meshes) else "conserved",
            "orders": {field: {name: self.fitted_order(field, name) for name in SERIES} for field in self.fields},
            "meshes": [self._row(number) for number in range(len(self.meshes))],
        }

    def _row(self, number: int) -> dict[str, Any]:
        row = self.meshes[number]
        fields = {
            field: {
                **vars(errors),
                "orders": {name: self.orders(field, name)[number] for name in SERIES},
            }
            for field, errors in row.errors.items()
        }
        return {
            "mesh": list(row.mesh),
            "cells": math.prod(row.mesh),
            "steps": row.steps,
            "time": row.time,
            "verdict": "violated" if row.reason else "conserved",
            "drift": row.drift,
            "failure": row.reason or None,
            "no_reference": row.note or None,
            "errors": fields,
        }


def converge(request: ConvergeRequest, listener: Listener = UNHEARD) -> Convergence:
    """Run a model or a law on several meshes to the same time.

    Raises
    ------
    UsageError
        It cannot be compiled for a mesh, or nothing is known to compare it with.
    """
    rows, basis = list[MeshErrors](), ""
    for shape in request.meshes:
        try:
            case = mesh_case(_on(request.compiling, shape), request.scheme)
            steps = _steps(case.graph, request.time)
            mass, _ = initial_mass(case.graph, None)
        except UsageError as error:
            raise UsageError(f"mesh {mesh_text(shape)}: {error}") from error
        known, note = case.solution(steps)
        if known is None and not rows:
            raise UsageError(f"{request.compiling.model}: {note}, so there is no error to measure")
        title = f"{case.graph.spec.name} on {mesh_text(shape)}"
        with listener.progress(title, steps) as report:
            run = run_graph(BACKEND, case.graph, mass, RunOptions(steps, every=steps), report)
        errors = _errors(case, run, steps, known, request.norm)
        time = run.steps * case.graph.time_step
        rows.append(MeshErrors(shape, run.steps, time, run.verdict.drift, errors, run.verdict.reason, note))
        basis = basis if known is None else known.basis
    return Convergence(case.graph.spec.name, request.norm, basis, case.without_quantum_is, case.floats_are, tuple(rows))


def _on(request: CompileRequest, shape: tuple[int, ...]) -> CompileRequest:
    return replace(request, domain=replace(request.domain, mesh=mesh_text(shape)))


def _steps(graph: IntegerGraph, time: float | None) -> int:
    steps = steps_to_horizon(graph) if time is None else round(min(time / graph.time_step, MOST_STEPS + 1))
    if not 1 <= steps <= MOST_STEPS:
        raise UsageError(f"`time` is {steps} PDE steps of {graph.time_step:g} away; expected 1 to {MOST_STEPS}")
    return steps


def _errors(case: MeshCase, run: Run, steps: int, known: Solution | None, norm: Norm) -> dict[str, Errors]:
    """Errors of each field; without any where the run stopped early."""
    graph = case.graph
    if known is None or not run.conserved:
        return dict.fromkeys((field.name for field in graph.fields), Errors())
    flat = graph.values(run.trace.mass[-1]).reshape(len(graph.fields), -1)
    fields = {field.name: values for field, values in zip(graph.fields, flat, strict=True)}
    finer, floats = case.without_quantum(steps), case.floats(steps)
    return {
        name: Errors(
            _error(values, known.fields[name], norm),
            _of(finer, name, known, norm),
            None if finer is None else _share(values, finer[name], known.fields[name], norm),
            None if floats is None else _of(floats[0], name, floats[1], norm),
            known.errors[name],
        )
        for name, values in fields.items()
    }


def _of(fields: Fields | None, name: str, known: Solution, norm: Norm) -> float | None:
    return None if fields is None else _error(fields[name], known.fields[name], norm)


def _error(values: Floats, exact: Floats, norm: Norm) -> float | None:
    error = getattr(difference(values, exact), norm)
    return float(error) if math.isfinite(error) else None


def _share(values: Floats, others: Floats, exact: Floats, norm: Norm) -> float | None:
    """Size of the difference of two fields, measured as an error of fields with that exact solution."""
    return _error(exact + (values - others), exact, norm)


def _slope(widths: Sequence[float], errors: Sequence[float | None]) -> float | None:
    known = [error for error in errors if error]
    if len(known) < len(errors):
        return None
    return float(np.polyfit(np.log(widths), np.log(known), 1)[0])
