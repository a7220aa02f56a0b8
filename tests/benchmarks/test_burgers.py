from __future__ import annotations

import numpy as np
import pytest

from benchmarks.burgers import CANONICAL, in_floats, judged, recipe


def test_overshoot_is_what_leaves_the_extremes_of_the_exact_solution() -> None:
    exact = np.array([0.0, 4.0, 3.0])
    result = judged(7, np.array([-0.2, 4.1, 3.0]), exact)
    assert result.overshoot == pytest.approx(0.05)
    assert result.error == pytest.approx(np.hypot(0.2, 0.1) / 5)
    assert judged(7, np.array([0.1, 3.9, 3.0]), exact).overshoot == 0


def test_weno5_is_what_shocks_are_compared_with() -> None:
    result = in_floats(recipe(CANONICAL, 0.01 / np.pi), 64, "weno5")
    assert 0.04 < result.error < 0.06 and result.text == f"{result.error:.1e} ({result.steps})"
