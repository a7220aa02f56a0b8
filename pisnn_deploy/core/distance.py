"""How far two fields are apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def relative_l2(values: NDArray[np.float64], exact: NDArray[np.float64] | None) -> float | None:
    """Relative L2 error: ``|values - exact| / |exact|``.

    Parameters
    ----------
    values : float64 array
        The field that is judged.
    exact : float64 array of that shape, or None
        What it is compared with.

    Returns
    -------
    float or None
        None without an exact field, or where it is 0 everywhere, or too small to be squared.
    """
    size = 0.0 if exact is None else float(np.linalg.norm(exact))
    if exact is None or size == 0:
        return None
    return float(np.linalg.norm(values - exact)) / size
