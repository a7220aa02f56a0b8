"""Distance between fields."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def relative_l2(values: NDArray[np.float64], exact: NDArray[np.float64] | None) -> float | None:
    """Relative L2 error: ``|values - exact| / |exact|``.

    Parameters
    ----------
    values : float64 array
        Field to judge.
    exact : float64 array of that shape, or None
        Reference field.

    Returns
    -------
    float or None
        None if there is no reference, or its norm is 0 in float64.
    """
    size = 0.0 if exact is None else float(np.linalg.norm(exact))
    if exact is None or size == 0:
        return None
    return float(np.linalg.norm(values - exact)) / size
