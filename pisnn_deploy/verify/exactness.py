"""Which claims are proved in integers and rationals, and which rest on float64."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.verify.eigenvalues import real_span
from pisnn_deploy.verify.faces import face_of
from pisnn_deploy.verify.symbols import no_wave_grows
from pisnn_deploy.verify.waves import MARGIN, axis_matrices, gains_along, lattice_weights

BITS = 128
"""Bits of fixed-point numbers; what is cut off is counted."""
MOST_CELLS = 1 << 14
"""Most cells of a lattice whose powers are computed (takes seconds)."""
IN_FLOAT = "computed in float64, so it is assumed"
COMPARED = {
    "conductances": "what distances, areas and materials give is",
    "multi-point": "what distances, areas and materials give is",
    "constant-states": "what the law gives at these states is",
    "trained-states": "what the law gives at these states is",
}
"""What integers are compared with, by the method of a claim on the equation; other methods compare with rationals."""


def why_assumed(graph: IntegerGraph, claim: str) -> str:
    """Return why a claim that holds is not proved exactly; empty if it is, or if it claims no proof.

    Parameters
    ----------
    graph : IntegerGraph
        With a certificate that the checker accepts.
    claim : str
        Name of the claim.
    """
    made = None if graph.certificate is None else graph.certificate.claims.get(claim)
    if made is None or made.status != "proved":
        return ""
    if made.method == "axis-eigenvalues":
        return "" if axes_hold(graph, made.figures["modulus"]) else f"the largest factor is {IN_FLOAT}"
    if made.method in COMPARED:
        return f"{COMPARED[made.method]} {IN_FLOAT}"
    if made.method == "fourier":
        face = face_of(graph)
        keep, late = 1 - Fraction(face.leak, MEMORYLESS), bool(face.steps_late)
        is_proved = no_wave_grows(gains_along(graph), 1 << face.exponent, keep, late=late)
        return "" if is_proved else f"the largest factor is {IN_FLOAT}"
    if made.method == "invariant-range":
        face = face_of(graph)
        most = drift(lattice_weights(graph), 1 << face.exponent, sees_residues=face.sees_residues)
        return "" if most is not None and most <= made.figures["drift"] else f"the effect of rounding is {IN_FLOAT}"
    return ""


def axes_hold(graph: IntegerGraph, modulus: float) -> bool:
    """Whether it is proved that no amplification factor of a sum over axes exceeds a modulus, or 1.

    Parameters
    ----------
    graph : IntegerGraph
        For which `pisnn_deploy.verify.waves.has_axis_gains`.
    modulus : float
        `pisnn_deploy.verify.waves.MARGIN` is added.
    """
    keep, most = 1 - Fraction(face_of(graph).leak, MEMORYLESS), min(Fraction(1), Fraction(modulus) + Fraction(MARGIN))
    matrices, unit = axis_matrices(graph)
    spans = [span for span in map(real_span, matrices) if span is not None]
    if len(spans) < len(matrices):
        return False
    # Schur and Cohn for the roots of z^2 - (1 + keep + g) z + keep over `most`, at the ends of what g may be.
    ends = (sum((span[side] for span in spans), Fraction(0)) / unit for side in (0, 1))
    return keep <= most**2 and all(abs(1 + keep + gain) * most <= most**2 + keep for gain in ends)


def drift(weights: NDArray[np.int64], theta: int, *, sees_residues: bool = False) -> int | None:
    """Bound of accumulated rounding, in quanta: that of `pisnn_deploy.verify.waves.drift`, in integers.

    Powers of the nonnegative update are fixed-point numbers. If ``a`` is off by ``e`` in the sum of absolute values,
    where the sum is at most 1, ``a * a`` is off by ``2 e + e^2``, and by as many units as there are cells when rounded.

    Parameters
    ----------
    weights : int64 array
        ``D W`` on the lattice.
    theta : int
        A power of two.

    Returns
    -------
    int or None
        None without a bound, or for a large lattice.
    """
    cells, unit, centre = weights.size, 1 << BITS, (0,) * weights.ndim
    update = weights.astype(np.object_)
    update[centre] += theta
    if cells > MOST_CELLS or update.min() < 0 or update.sum() != theta:
        return None
    change = weights.astype(np.object_) if not sees_residues else np.zeros(weights.shape, np.object_)
    change[centre] += 1 if sees_residues else 0
    faces = [change - np.roll(change, 1, axis) for axis in range(weights.ndim)]
    total, steps = Fraction(2 * weights.ndim), 0
    power, off = np.zeros(weights.shape, np.object_), Fraction(0)
    power[centre] = unit
    while steps < 1 << 50:
        term = sum((Fraction(_size(_applied(face, power)), theta * unit) for face in faces), Fraction(0))
        term += off * Fraction(sum(map(_size, faces)), theta)
        left = Fraction(_size(power * cells - unit), cells * unit) + off if steps else Fraction(1)
        if left < Fraction(1, 2):
            return math.ceil((total + steps * term / (1 - left)) / 2)
        total += max(1, steps) * term
        if steps:
            power, off, steps = _squared(power) >> BITS, 2 * off + off**2 + Fraction(cells, unit), 2 * steps
        else:
            power, steps = update * (unit // theta), 1
    return None


def _size(values: NDArray[np.object_]) -> int:
    return int(np.abs(values).sum())


def _applied(face: NDArray[np.object_], power: NDArray[np.object_]) -> NDArray[np.object_]:
    """Cyclic convolution with the few weights of a face."""
    total = np.zeros(power.shape, np.object_)
    for at in zip(*np.nonzero(face), strict=True):
        total += face[at] * np.roll(power, at, range(power.ndim))
    return total


def _squared(power: NDArray[np.object_]) -> NDArray[np.object_]:
    """Cyclic convolution of nonnegative integers with themselves, as the square of one long integer."""
    places = [2 * count for count in power.shape]
    width = (2 * BITS + power.size.bit_length()) // 8 + 1
    padded = np.zeros(places, np.object_)
    padded[tuple(map(slice, power.shape))] = power
    number = int.from_bytes(b"".join(_bytes(padded, width)), "little")
    digits = (number * number).to_bytes(2 * width * padded.size, "little")
    values = (int.from_bytes(digits[at : at + width], "little") for at in range(0, width * padded.size, width))
    product = np.array(list(values), np.object_).reshape(places)
    for axis, count in enumerate(power.shape):
        lower, upper = np.split(product, [count], axis)
        product = lower + upper
    return product


def _bytes(values: NDArray[np.object_], width: int) -> Iterator[bytes]:
    for value in values.reshape(-1):
        yield int(value).to_bytes(width, "little")
