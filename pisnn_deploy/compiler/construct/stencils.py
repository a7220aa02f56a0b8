"""Weighted cells near the faces of a grid, with what the sides of the domain put beyond them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.construct.assembly import Tap, tap
from pisnn_deploy.compiler.construct.boundary import continuation
from pisnn_deploy.compiler.construct.grid import Faces
from pisnn_deploy.compiler.construct.plan import Plan

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

ACROSS = (((1,), 1), ((-1, 0, 1), 2), ((1, -2, 1), 1), ((-1, 2, 0, -2, 1), 2))
"""Stencil and denominator of each derivative in the middle of a cell."""


@dataclass(frozen=True)
class Cells:
    """Cells near each face: where they are, and what their values are outside the domain.

    Attributes
    ----------
    places : dict of int to int64 array [faces]
        Coordinate along each axis.
    weight : int64 array [faces]
        Factor of the value there; 0 where it is a constant.
    constant : float64 array [faces]
        What is added to it.
    taps : list of Tap
        Values of sides that depend on time, which are added too.
    """

    places: Mapping[int, Integers]
    weight: Integers
    constant: Floats
    taps: list[Tap]


def weighted_cells(
    plan: Plan, name: str, faces: Faces, weights: Mapping[int, Mapping[int, int]]
) -> tuple[list[Tap], Floats]:
    """Connections of a weighted sum of cells near each face, and what the sides add to it, float64 [faces].

    Parameters
    ----------
    weights : mapping of int to mapping of int to int
        For each axis, the weight of each step; the product counts. Step 0 is the cell above the face along the face's
        own axis, and the row of the face across it.
    """
    grid, axis = plan.grid, faces.axis
    inside = np.where(faces.right >= 0, faces.right, faces.left)
    corner = dict(enumerate(np.unravel_index(inside, grid.shape)))
    corner[axis] = corner[axis] + (faces.right < 0)
    each = np.arange(faces.size, dtype=np.int64)
    taps: list[Tap] = []
    constant = np.zeros(faces.size)
    for steps in itertools.product(*(weights[a] for a in range(len(grid.shape)))):
        weight = math.prod(weights[a][step] for a, step in enumerate(steps))
        if not weight:
            continue
        cells = folded_cells(plan, name, {a: corner[a] + step for a, step in enumerate(steps)})
        column = np.ravel_multi_index([cells.places[a] for a in range(len(grid.shape))], grid.shape).astype(np.int64)
        column[cells.weight == 0] = -1
        taps.append(tap(plan.signals[name], each, column, weight * cells.weight))
        constant += weight * cells.constant
        taps += [entry.scaled_by(weight) for entry in cells.taps]
    return taps, constant


def across(order: int) -> dict[int, int]:
    """Weights of the steps of a derivative in the middle of a cell, times its denominator."""
    stencil = ACROSS[order][0]
    return {number - len(stencil) // 2: weight for number, weight in enumerate(stencil)}


def folded_cells(plan: Plan, name: str, places: Mapping[int, Integers]) -> Cells:
    """Cells for places that may be outside the domain, one axis after the other.

    Parameters
    ----------
    places : mapping of int to int64 array [faces]
        Coordinate of a cell along each axis.
    """
    grid = plan.grid
    folded = {a: np.asarray(place, np.int64) for a, place in places.items()}
    size = folded[0].size
    weight, constant = np.ones(size, np.int64), np.zeros(size)
    taps: list[Tap] = []
    for a, count in enumerate(grid.shape):
        if grid.periodic[a]:
            folded[a] = folded[a] % count
            continue
        for upper in (0, 1):
            depth = folded[a] - (count - 1) if upper else -folded[a]
            outside = np.flatnonzero(depth > 0)
            if not outside.size:
                continue
            along = {b: np.clip(place[outside], 0, grid.shape[b] - 1) for b, place in folded.items()}
            along[a] = np.full(outside.size, count - 1 if upper else 0, np.int64)
            cells = np.ravel_multi_index([along[b] for b in range(len(grid.shape))], grid.shape).astype(np.int64)
            beyond = continuation(plan, name, a, upper, cells)
            mirrored = np.minimum(depth[outside] - 1, count - 1)
            mirrored = np.where(beyond.is_mirrored, mirrored, 0)
            folded[a] = folded[a].copy()
            folded[a][outside] = count - 1 - mirrored if upper else mirrored
            constant[outside] += weight[outside] * beyond.constant
            taps += beyond.taps(outside, weight[outside])
            weight[outside] *= beyond.weight
    return Cells(folded, weight, constant, taps)
