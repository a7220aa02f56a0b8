"""The one instruction that kernels ask of LLVM by name, whose name changes with its versions."""

from __future__ import annotations

import numpy as np
from numba import njit

from pisnn_deploy.runs.kernels.arrivals import CACHE_LINE, _ask_for, ask_ahead


def test_memory_is_asked_for_ahead() -> None:
    ask = njit(_nrt=False)(ask_ahead)
    values = np.arange(64, dtype=np.int64).reshape(2, 32)
    ask(values, 1, 0, 32)
    assert np.array_equal(values, np.arange(64).reshape(2, 32))
    assert CACHE_LINE == 64 and _ask_for is ask.py_func.__globals__["_ask_for"]
    (assembly,) = ask.inspect_asm().values()
    assert "prefetch" in assembly or "prfm" in assembly  # x86-64, or arm
