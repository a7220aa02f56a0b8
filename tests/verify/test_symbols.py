"""Exact proofs that no wave grows agree with the roots of many waves."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from pisnn_deploy.verify.exactness import drift
from pisnn_deploy.verify.symbols import Weights, is_nonnegative, no_wave_grows
from pisnn_deploy.verify.waves import drift as drift_in_float

WAVES = np.linspace(0, 2 * np.pi, 401)
SCHEMES = [(Fraction(0), False), (Fraction(3526, 4096), False), (Fraction(0), True)]


def gain(kernel: list[int]) -> Weights:
    """What the faces of a line add to a cell."""
    half = len(kernel) // 2
    weights: Weights = {}
    for step, weight in zip(range(1 - half, half + 1), kernel, strict=True):
        weights[step,] = weights.get((step,), 0) - weight
        weights[step - 1,] = weights.get((step - 1,), 0) + weight
    return weights


def largest(values: Any, keep: float, late: bool) -> float:
    """Largest modulus of the amplification factors of some gains."""
    middle, last = (np.full_like(values, 1), -values) if late else (1 + keep + values, np.full_like(values, keep))
    root = np.sqrt(middle**2 - 4 * last)
    return float(np.abs([middle + root, middle - root]).max() / 2)


@pytest.mark.parametrize(("keep", "late"), SCHEMES)
def test_on_a_line_what_is_proved_is_what_does_not_grow(keep: Fraction, late: bool) -> None:
    draw, proved = random.Random(7), 0
    for number in range(60):
        half = [draw.randint(-12, 60) for _ in range(draw.randint(1, 4))]
        kernel = [*half, *(-weight for weight in half[::-1])]
        kernel[0] += draw.randint(-6, 6) * (number % 3 == 0)
        weights = gain(kernel)
        values: Any = sum(weight * np.exp(1j * step * WAVES) for (step,), weight in weights.items()) / 128
        is_proved = no_wave_grows([weights], 128, keep, late=late)
        assert is_proved == (largest(values, float(keep), late) <= 1 + 1e-9)
        proved += is_proved
    assert 5 < proved < 55


HEAT = np.array([[2, -2, 2], [3, 8, 3], [16, 50, 16]])


def plane(half: Any) -> list[Weights]:
    """What the faces along each axis of a plane add to a cell."""
    kernel = np.concatenate([half, -half[::-1]])
    gains: list[Weights] = []
    for axis in (0, 1):
        weights: Weights = {}
        for (row, column), weight in np.ndenumerate(kernel):
            at = [row + 1 - len(half), column - half.shape[1] // 2]
            for shift, sign in ((0, -1), (-1, 1)):
                offset = (at[0] + shift, at[1]) if axis == 0 else (at[1], at[0] + shift)
                weights[offset] = weights.get(offset, 0) + sign * int(weight)
        gains.append(weights)
    return gains


@pytest.mark.parametrize(("keep", "late"), SCHEMES)
def test_on_a_plane_what_is_proved_does_not_grow(keep: Fraction, late: bool) -> None:
    draw, proved = random.Random(3), []
    waves = np.meshgrid(WAVES[::10], WAVES[::10])
    for scale in (0, 1, 2, 3, 5, 8, 13):
        half = HEAT + np.array([[draw.randint(-scale, scale)] * 3 for _ in range(3)])
        gains = plane(half)
        values: Any = sum(
            weight * np.exp(1j * (offset[0] * waves[0] + offset[1] * waves[1]))
            for weights in gains
            for offset, weight in weights.items()
        )
        theta = draw.choice([128, 256])
        proved.append(no_wave_grows(gains, theta, keep, late=late))
        assert not proved[-1] or largest(values / theta, float(keep), late) <= 1 + 1e-9
        assert proved[-1] or largest(values / theta, float(keep), late) > 1 + 1e-9
    assert any(proved) or late


def test_what_is_not_real_or_not_at_rest_is_left_open_on_a_plane() -> None:
    skew = HEAT.copy()
    skew[2, 0] += 1
    assert not no_wave_grows(plane(skew), 256)
    gains = plane(HEAT)
    gains[0][0, 0] += 1
    assert not no_wave_grows(gains, 256)


def test_signs_of_polynomials() -> None:
    def of(*roots: Fraction | int, sign: int = 1) -> list[Fraction]:
        coefficients = [Fraction(sign)]
        for root in roots:
            shifted = [Fraction(0), *coefficients]
            coefficients = [a - Fraction(root) * b for a, b in zip(shifted, [*coefficients, Fraction(0)], strict=True)]
        return coefficients

    half = Fraction(1, 2)
    assert is_nonnegative([]) and is_nonnegative(of()) and not is_nonnegative(of(sign=-1))
    assert is_nonnegative(of(half, half)) and not is_nonnegative(of(half)) and not is_nonnegative(of(half, half, half))
    assert is_nonnegative(of(-1)) and is_nonnegative(of(1, sign=-1)) and is_nonnegative(of(2, 3))
    assert is_nonnegative(of(-1, half, half, 1, sign=-1)) and not is_nonnegative(of(-1, half, -half, 1))


@pytest.mark.parametrize("sees", [False, True])
@pytest.mark.parametrize("shape", [(16,), (6, 8)])
def test_the_effect_of_rounding_is_that_of_floating_point_rounded_up(shape: tuple[int, ...], sees: bool) -> None:
    weights = np.zeros(shape, np.int64)
    for axis in range(len(shape)):
        for step in (1, -1):
            weights[tuple(step if a == axis else 0 for a in range(len(shape)))] += 20
    weights[(0,) * len(shape)] = -weights.sum()
    exact = drift(weights, 128, sees_residues=sees)
    assert exact == drift_in_float(np.fft.fftn(weights / 128), 128 if sees else None)
    weights[(1,) * len(shape)] -= 41
    assert drift(weights, 128, sees_residues=sees) is None
