"""What is wrong in trained fluxes of a law: shapes, numbers that are no weights, and what contradicts the recipe."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from pisnn_deploy.laws.conditions import Flaw
from pisnn_deploy.laws.flux_network import Floats, FluxNetwork, TrainedLaw

LARGEST_WEIGHT = 127
"""Magnitude of an integer weight."""
LARGEST_VALUE = 2.0**24
"""Magnitude of a bias or a constant, in units of the scales."""
MOST_HIDDEN = 4096
MOST_POSITIONS = 1024
FARTHEST = 6
"""Cells between a face and a cell of its window along each axis; farther faces see nothing beyond a side, which the
claim on the equation relies on."""


def trained_flaws(law: TrainedLaw) -> list[Flaw]:
    """Find what is wrong in trained fluxes.

    Returns
    -------
    list of (str, str)
        Place, such as ``weights.0`` for the first axis, and what is wrong there.
    """
    return [*_flaws(law)]


def _flaws(law: TrainedLaw) -> Iterator[Flaw]:
    spec, fluxes = law.spec, law.fluxes
    axes, fields = spec.dimensions, spec.law.fields
    if spec.method != "trained":
        yield "spec.method", f"must be trained, not {spec.method}"
    counts = (
        ("fluxes.axes", len(fluxes.networks), axes, "axes"),
        ("fluxes.spacing", len(fluxes.spacing), axes, "axes"),
        ("fluxes.scale_exponents", len(fluxes.scale_exponents), len(fields), "fields"),
    )
    for place, count, expected, what in counts:
        if count != expected:
            yield place, f"has {count} {'entry' if count == 1 else 'entries'} for {expected} {what}"
    if len(fluxes.spacing) == axes:
        for axis, (width, length) in enumerate(zip(fluxes.spacing, spec.lengths, strict=True)):
            count = round(length / width)
            if count < 1 or not math.isclose(width * count, length, rel_tol=1e-9):
                yield f"fluxes.spacing.{axis}", f"{width:g} does not divide the length {length:g} of the domain"
    if len(fluxes.networks) == axes:
        for axis, network in enumerate(fluxes.networks):
            yield from _network_flaws(network, axis, axes, len(fields))


def _network_flaws(network: FluxNetwork, axis: int, axes: int, fields: int) -> Iterator[Flaw]:
    positions, hidden = network.offsets.shape[0], network.bias.size
    if network.offsets.shape[1:] != (axes,):
        yield f"fluxes.axes.{axis}.offsets", f"must have {axes} coordinates a cell"
        return
    if len({*map(tuple, network.offsets.tolist())}) < positions:
        yield f"fluxes.axes.{axis}.offsets", "names a cell twice"
    if not 1 <= hidden <= MOST_HIDDEN:
        yield f"biases.{axis}", f"has {hidden} hidden neurons, expected 1 to {MOST_HIDDEN}"
        return
    arrays = (
        (f"weights.{axis}", network.weight, (hidden, fields, positions), network.weight_exponent),
        (f"biases.{axis}", network.bias, (hidden,), None),
        (f"outputs.{axis}", network.output, (fields, hidden), network.output_exponent),
        (f"constants.{axis}", network.constant, (fields,), None),
    )
    for name, array, shape, exponent in arrays:
        if array.shape != shape:
            yield name, f"has shape {array.shape}, expected {shape}"
        else:
            yield from _number_flaws(name, array, exponent)


def _number_flaws(name: str, array: Floats, exponent: int | None) -> Iterator[Flaw]:
    if exponent is None:
        wrong, expected = ~(np.abs(array) <= LARGEST_VALUE), f"a number of at most 2^{math.log2(LARGEST_VALUE):g}"
    else:
        units = array * 2.0**exponent  # NaN and infinity are no whole numbers of at most 127
        wrong = ~((np.abs(units) <= LARGEST_WEIGHT) & (units == np.rint(units)))
        expected = f"a whole multiple of 2^{-exponent} of at most {LARGEST_WEIGHT} units"
    if wrong.any():
        index = tuple(int(part) for part in np.argwhere(wrong)[0])
        yield name, f"at {', '.join(map(str, index))} must be {expected}, not {array[index]:g}"
