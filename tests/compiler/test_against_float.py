"""Random boundaries, materials, profiles and rough starts against a float64 solver of this file's own.

Few cases run by default; ``PISNN_CASES=200`` runs more. What is compiled without a warning is within a small factor of
the same-mesh two-point scheme, or within what its own resolution explains; what is not compiled is refused in a
sentence that names no internal state.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from drawn_boundaries import cases, drawn_boundary
from models_under_test import deep_model, zoo_model
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from pisnn_deploy.compiler import CompileOptions, GraphOptions, Lower, LowerTwoPoint, Material, compile_model
from pisnn_deploy.core.errors import InvariantViolation, OverflowViolation, UsageError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.mesh import DIRICHLET, PERIODIC, Boundary
from pisnn_deploy.physics.model import Model, OperatingRange
from pisnn_deploy.target import load_profile
from pisnn_deploy.verify import check_certificate

Field = NDArray[np.float64]
REFINED = {1: 4, 2: 3, 3: 2}
"""Cells of the reference to a cell, along each axis."""


@dataclass(frozen=True)
class Rod:
    """Two-point finite volumes in float64 on a box of length 1 along each axis, as matrices."""

    shape: tuple[int, ...]
    boundary: Boundary
    conductivity: Field
    capacity: Field

    def operator(self) -> tuple[sparse.csr_matrix, Field]:
        """``du/dt = A u + b``."""
        count, volume = math.prod(self.shape), 1 / math.prod(self.shape)
        number = np.arange(count).reshape(self.shape)
        conduct, entries, given = self.conductivity.reshape(self.shape), [], np.zeros(count)
        for axis, (cells, sides) in enumerate(zip(self.shape, self.boundary.sides, strict=True)):
            area = volume * cells
            k, at = np.moveaxis(conduct, axis, 0), np.moveaxis(number, axis, 0)
            pairs = [(at[:-1], at[1:], k[:-1], k[1:])]
            if sides == (PERIODIC, PERIODIC):
                pairs.append((at[-1:], at[:1], k[-1:], k[:1]))
            for one, other, k_one, k_other in pairs:
                carried = (area * cells * 2 / (1 / k_one + 1 / k_other)).reshape(-1)
                i, j = one.reshape(-1), other.reshape(-1)
                entries += [(i, j, carried), (j, i, carried), (i, i, -carried), (j, j, -carried)]
            for end, (side, held) in enumerate(zip(sides, self.boundary.values[axis], strict=True)):
                if side == DIRICHLET:
                    i, carried = at[-end].reshape(-1), (area * cells * 2 * k[-end]).reshape(-1)
                    entries.append((i, i, -carried))
                    given[i] += carried * np.broadcast_to(np.array(held), i.shape)
        rows, columns, values = (np.concatenate(parts) for parts in zip(*entries, strict=True))
        matrix = sparse.csr_matrix((values, (rows, columns)), (count, count))
        mass = self.capacity.reshape(-1) * volume
        return sparse.csr_matrix(sparse.diags(1 / mass) @ matrix), given / mass

    def after(self, start: Field, time: float) -> Field:
        """The field at a time: implicit steps of third order (Radau IIA), which damp whatever is rough."""
        matrix, given = self.operator()
        values, step = start.reshape(-1).astype(float), time / 60
        size = values.size
        stages = np.array([[5 / 12, -1 / 12], [3 / 4, 1 / 4]])
        system = sparse.identity(2 * size) - step * sparse.kron(stages, matrix)
        solve = splu(sparse.csc_matrix(system))
        for _ in range(60):
            slope = matrix @ values + given
            increments = solve.solve(np.tile(slope, 2)).reshape(2, size)
            values = values + step * (3 / 4 * increments[0] + 1 / 4 * increments[1])
        return values.reshape(self.shape)


def refined(rod: Rod, start: Field, factor: int) -> tuple[Rod, Field]:
    """The same set-up on a finer mesh."""

    def spread(field: Field) -> Field:
        for axis in range(field.ndim):
            field = np.repeat(field, factor, axis)
        return field

    values = []
    for axis, pair in enumerate(rod.boundary.values):
        layer = [count for a, count in enumerate(rod.shape) if a != axis]
        values.append(
            tuple(h if len(h) <= 1 else tuple(spread(np.array(h).reshape(layer)).reshape(-1).tolist()) for h in pair)
        )
    shape = tuple(count * factor for count in rod.shape)
    boundary = Boundary(rod.boundary.sides, tuple((low, high) for low, high in values))
    return Rod(shape, boundary, spread(rod.conductivity), spread(rod.capacity)), spread(start)


def coarse(field: Field, factor: int) -> Field:
    parts = [n for count in field.shape for n in (count // factor, factor)]
    return np.asarray(field.reshape(parts).mean(axis=tuple(range(1, 2 * field.ndim, 2))))


def drawn_field(rng: np.random.Generator, shape: tuple[int, ...]) -> Field:
    """Smooth, in blocks, or rough, between -1 and 1."""
    kind = rng.integers(3)
    grids = np.meshgrid(*((np.arange(n) + 0.5) / n for n in shape), indexing="ij")
    if kind == 0:
        return np.asarray(np.prod([np.cos(np.pi * rng.integers(0, 3) * grid) for grid in grids], axis=0))
    if kind == 1:
        return np.where(grids[0] < rng.uniform(0.2, 0.8), rng.uniform(-1, 1), rng.uniform(-1, 1))
    return rng.uniform(-1, 1, shape)


def compiled(
    model: Model, rod: Rod, rng: np.random.Generator, limits: OperatingRange, one_material: bool
) -> IntegerGraph:
    profile = load_profile(str(rng.choice(["loihi2", "generic-int"])))
    coding: Any = str(rng.choice(["delta", "dense"]))
    if one_material:
        options: Any = CompileOptions(
            Lower(rod.shape, rod.boundary),
            profile,
            GraphOptions(coding=coding, placement="none"),
            operating_range=limits,
        )
    else:
        lower = LowerTwoPoint(rod.shape, rod.boundary, {"default": Material(1.0)}, rod.conductivity, rod.capacity)
        options = CompileOptions(lower, profile, GraphOptions(coding=coding, placement="none"), operating_range=limits)
    return compile_model(model, options)


def test_random_set_ups_are_as_good_as_the_same_mesh_scheme() -> None:
    models = {1: zoo_model("heat1d"), 2: zoo_model("heat2d"), 3: deep_model()}
    for rng in cases(8):
        dims = int(rng.choice([1, 1, 2, 2, 3]))
        shape = (int(rng.choice({1: [12, 24], 2: [8, 12], 3: [5]}[dims])),) * dims
        kind = rng.integers(3)
        conductivity, capacity = np.full(shape, 0.01), np.ones(shape)
        if kind:
            conductivity = 0.01 * np.exp(rng.uniform(0.3, 1.5) * drawn_field(rng, shape))
        if kind == 2:
            capacity = np.exp(drawn_field(rng, shape))
        rod = Rod(shape, drawn_boundary(rng, shape), conductivity, capacity)
        start = drawn_field(rng, shape)
        # Half the range is a wall away, so slopes of four times the range pass a cell's width.
        limits = OperatingRange(lower=-2.0, upper=2.0, slope=4.0 * shape[0])
        if kind == 0 and dims == 1 and not rng.integers(4):
            limits = limits.model_copy(update={"slope": None})
        graph = compiled(models[dims], rod, rng, limits, one_material=not kind)
        assert all(finding.holds for finding in check_certificate(graph) if finding.claim != "seal")
        steps = max(1, round(rng.uniform(0.5, 4.0) / graph.time_step))
        time = steps * graph.time_step
        try:
            mass = Semantics(graph).masses_after(graph.mass(start), steps)
        except (OverflowViolation, InvariantViolation):
            continue  # told
        found = graph.values(mass[: graph.mesh.cells]).reshape(shape)
        finer, finer_start = refined(rod, start, REFINED[dims])
        right = coarse(finer.after(finer_start, time), REFINED[dims])
        same_mesh = rod.after(start, time)
        ours, theirs = (float(np.sqrt(((field - right) ** 2).mean())) for field in (found, same_mesh))
        size = float(np.abs(right).max())
        # Values that differ from cell to cell along a side cost wide windows more, most in space on five cells a side.
        factor = 4 if dims < 3 else 6
        set_up = (shape, kind, rod.boundary.text, ours, theirs)
        assert ours <= factor * theirs + 4 * graph.resolution + 2e-3 * size, set_up


def test_what_cannot_be_compiled_is_named() -> None:
    """Ranges, capacities, conductivities and profiles of any size: a graph, or a sentence about one of these."""
    model = zoo_model("heat1d")
    refused = 0
    for rng in cases(60):
        count = int(rng.choice([2, 3, 16]))
        spread = 10.0 ** rng.uniform(-1, 4, 2)
        fields = [np.where(rng.random(count) < 0.5, 1.0, s) * 10.0 ** rng.uniform(-9, 9) for s in spread]
        low = float(rng.choice([0.0, 1.0, -1.0, 1e3, 1e9, -1e-6, 1e15])) * rng.uniform(0.5, 2)
        width = 10.0 ** rng.uniform(-9, 9)
        limits = OperatingRange(lower=low, upper=low + width) if low + width > low else None
        if rng.random() < 0.4:
            fields[int(rng.integers(2))] = np.ones(count)
        profile = load_profile(str(rng.choice(["loihi2", "loihi1", "generic-int"])))
        sides = Boundary((("no-flux", "no-flux"),), (((), ()),))
        lower = LowerTwoPoint((count,), sides, {"default": Material(1.0)}, *fields)
        try:
            graph = compile_model(
                model, CompileOptions(lower, profile, GraphOptions(placement="none"), operating_range=limits)
            )
        except UsageError as error:
            refused += 1
            assert "well formed" not in str(error) and "\n" not in str(error)
            assert any(word in str(error) for word in ("cell", "face", "capacit", "conduct", "range", "bits")), error
            continue
        assert graph.certificate is not None
        assert all(finding.holds for finding in check_certificate(graph) if finding.claim != "seal")
    assert refused


@pytest.mark.parametrize("dims", [1, 2])
def test_the_solver_of_this_file_meets_an_exact_solution(dims: int) -> None:
    shape = (24,) * dims
    none = Boundary((("no-flux", "no-flux"),) * dims, (((), ()),) * dims)
    rod = Rod(shape, none, np.full(shape, 0.01), np.ones(shape))
    start = np.asarray(
        np.prod(np.meshgrid(*(np.cos(np.pi * (np.arange(24) + 0.5) / 24),) * dims, indexing="ij"), axis=0)
    )
    rate = 0.01 * dims * (2 * 24 * np.sin(np.pi / 48)) ** 2
    assert np.abs(rod.after(start, 3.0) - start * np.exp(-rate * 3.0)).max() < 1e-6
