"""Trained fluxes made by hand: interpolants of split fluxes, and random networks."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from law_recipes import recipe
from numpy.typing import NDArray

from pisnn_deploy.laws.expression import evaluate
from pisnn_deploy.laws.flux_network import FluxNetwork, TrainedFluxes, TrainedLaw
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.laws.speeds import characteristic_speeds

Floats = NDArray[np.float64]
OUTPUT_EXPONENT = 8


def traffic_law(boundary: Any = "periodic", **others: Any) -> LawSpec:
    """Cars on a road, as a trained law."""
    return recipe(
        {"fields": ["u"], "flux": {"u": "u*(1 - u)"}, "positive": ["u"]},
        boundary,
        initial={"u": "0.5 + 0.3*sin(2*pi*x)"},
        range={"u": [0, 1]},
        time=0.3,
        mesh=[32],
        method="trained",
        **others,
    )


def burgers_law(axes: int, boundary: Any = "periodic") -> LawSpec:
    """Burgers' equation along one or two axes, as a trained law."""
    law = {"fields": ["u"], "flux": {"u": "u**2/2"}} | ({"flux_y": {"u": "u**2/2"}} if axes == 2 else {})
    return recipe(
        law,
        boundary,
        1.0 if axes == 1 else [1.0, 1.0],
        initial={"u": "0.4*sin(2*pi*x)" + (" + 0.3*cos(2*pi*y)" if axes == 2 else "")},
        range={"u": [-0.9, 0.9]},
        time=0.3,
        mesh=[16] * axes,
        method="trained",
    )


def interpolated(spec: LawSpec, knots: int = 8, courant: float = 0.4) -> TrainedLaw:
    """Upwind fluxes of a scalar law, ``(f(left) + a left)/2 + (f(right) - a right)/2``, between knots of its range."""
    (name,) = spec.law.fields
    low, high = spec.range[name]
    speeds = characteristic_speeds(spec.states()).fastest
    spacing = tuple(length / cells for length, cells in zip(spec.lengths, spec.mesh, strict=True))
    step = courant / sum(speed / width for speed, width in zip(speeds, spacing, strict=True))
    places = np.round(np.linspace(low, high, knots + 1) * 256) / 256
    networks = []
    for axis, (width, fastest) in enumerate(zip(spacing, speeds, strict=True)):
        flux = spec.parsed().numeric().flux[axis][name]
        exact = np.asarray(evaluate(flux, {name: places})) * np.ones(places.size)
        bends, constant = [], 0.0
        for sign in (1, -1):
            part = step / width * (exact + sign * fastest * places) / 2
            slopes = np.rint(np.diff(part) / np.diff(places) * 2.0**OUTPUT_EXPONENT)
            bends.append(np.diff(slopes, prepend=0))
            constant += float(part[0])
        weight = np.zeros((2 * knots, 1, 2))
        weight[:knots, 0, 0] = weight[knots:, 0, 1] = 1.0
        offsets = np.zeros((2, spec.dimensions), np.int64)
        offsets[1, axis] = 1
        networks.append(
            FluxNetwork(
                offsets,
                weight,
                -np.tile(places[:-1], 2),
                np.concatenate(bends)[None] * 2.0**-OUTPUT_EXPONENT,
                np.array([constant]),
                0,
                OUTPUT_EXPONENT,
            )
        )
    return TrainedLaw(spec, TrainedFluxes(tuple(networks), (0,), step, spacing))


def drawn(spec: LawSpec, rng: np.random.Generator) -> TrainedLaw:
    """Random networks of a few hidden neurons that read windows of random cells."""
    axes, fields = spec.dimensions, len(spec.law.fields)
    spacing = tuple(length / cells for length, cells in zip(spec.lengths, spec.mesh, strict=True))
    networks = []
    for axis in range(axes):
        reach = [range(-1, 3) if a == axis else range(-1, 2) for a in range(axes)]
        cells = np.array([*itertools.product(*reach)], np.int64)
        offsets = cells[np.sort(rng.permutation(len(cells))[: int(rng.integers(2, len(cells) + 1))])]
        hidden, exponents = int(rng.integers(1, 6)), rng.integers(5, 8, 2)
        weight = rng.integers(-40, 41, (hidden, fields, len(offsets)))
        output = rng.integers(-8, 9, (fields, hidden))
        networks.append(
            FluxNetwork(
                offsets,
                weight * 2.0 ** -exponents[0],
                rng.uniform(-0.5, 0.5, hidden),
                output * 2.0 ** -exponents[1],
                rng.uniform(-0.02, 0.02, fields),
                *map(int, exponents),
            )
        )
    scales = tuple(int(exponent) for exponent in rng.integers(-1, 2, fields))
    return TrainedLaw(spec, TrainedFluxes(tuple(networks), scales, 0.01, spacing))
