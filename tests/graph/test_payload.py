"""The guard of what a population sends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from models_under_test import compiled

from pisnn_deploy.core.errors import OverflowViolation
from pisnn_deploy.graph.payload import payload_guard


def test_a_payload_in_its_width_passes() -> None:
    guard = payload_guard(compiled(), "membrane")
    guard.require(np.full(16, (1 << (guard.bits - 1)) - 1, np.int64), 3)


def test_a_payload_beyond_its_width_is_refused() -> None:
    guard = payload_guard(compiled(), "membrane")
    payload = np.zeros(16, np.int64)
    payload[5] = 1 << (guard.bits - 1)
    with pytest.raises(OverflowViolation) as caught:
        guard.require(payload, 3)
    assert str(caught.value) == (
        f"overflow: membrane payload [5] is {payload[5]} at PDE step 3, outside its {guard.bits} signed bits"
    )


def test_a_payload_on_which_an_int32_accumulator_could_wrap_is_refused() -> None:
    graph = compiled()
    wide = tuple(replace(b, bits=32) if b.quantity == "payload" else b for b in graph.bounds)
    guard = payload_guard(replace(graph, bounds=wide), "membrane")
    name, matrix = guard.reach[0]
    reach = int(matrix.sums().max())
    guard.require(np.full(16, guard.largest, np.int64), 7)
    with pytest.raises(OverflowViolation) as caught:
        guard.require(np.full(16, guard.largest + 1, np.int64), 7)
    assert guard.largest == (2**31 - 1) // reach
    assert str(caught.value) == (
        f"overflow: {name} accumulator [0] is {reach * (guard.largest + 1)} at PDE step 7, outside its 32 signed bits"
    )
