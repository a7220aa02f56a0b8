"""The integer operations against Python's own integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pisnn_deploy.core.arithmetic import MEMORYLESS, decay, packets, rectify, require_width, signed_width
from pisnn_deploy.core.errors import OverflowViolation

integers = st.integers(-(2**40), 2**40)
exponents = st.integers(1, 20)


def one(value: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.array([value], np.int64)


@given(integers, st.integers(0, MEMORYLESS))
def test_decay_rounds_towards_zero(current: int, leak: int) -> None:
    expected = abs(current) * (4096 - leak) // 4096
    assert decay(one(current), leak)[0] == (expected if current >= 0 else -expected)


@given(integers, exponents)
def test_firing_leaves_at_most_half_a_threshold(residue: int, exponent: int) -> None:
    fired = int(packets(one(residue), exponent)[0])
    left = residue - (fired << exponent)
    assert -(2**exponent) <= 2 * left <= 2**exponent


@given(integers, exponents)
def test_firing_is_odd(residue: int, exponent: int) -> None:
    assert packets(one(-residue), exponent)[0] == -packets(one(residue), exponent)[0]


@given(exponents)
def test_a_tie_does_not_fire(exponent: int) -> None:
    half = 2**exponent // 2
    assert packets(np.array([half, -half, half + 1, -half - 1]), exponent).tolist() == [0, 0, 1, -1]


@given(integers, st.integers(0, 20))
def test_rectify_floors(drive: int, shift: int) -> None:
    assert rectify(one(drive), shift)[0] == max(drive, 0) // 2**shift


@given(integers, integers)
def test_signed_width_is_the_smallest_that_holds_both_ends(first: int, second: int) -> None:
    lower, upper = sorted((first, second))
    bits = signed_width(lower, upper)
    assert -(2 ** (bits - 1)) <= lower and upper < 2 ** (bits - 1)
    if bits > 1:
        assert lower < -(2 ** (bits - 2)) or upper >= 2 ** (bits - 2)


@given(integers, st.integers(2, 42))
def test_width_check_names_the_first_value_outside(value: int, bits: int) -> None:
    values = np.array([0, value, value], np.int64)
    if -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        require_width(values, bits, "flux", "current", 3)
        return
    with pytest.raises(OverflowViolation) as caught:
        require_width(values, bits, "flux", "current", 3)
    assert str(caught.value) == (f"overflow: flux current [1] is {value} at PDE step 3, outside its {bits} signed bits")


def test_width_check_accepts_nothing() -> None:
    require_width(np.empty(0, np.int64), 1, "flux", "current", 0)
    assert signed_width(0, 0) == 1
