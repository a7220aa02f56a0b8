"""Test an import: compare the network that was read with the file's own results on windows of the operating range."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from pisnn_deploy.core.errors import FileError, UsageError
from pisnn_deploy.formats.affine import Floats, Layer
from pisnn_deploy.formats.network import Network
from pisnn_deploy.formats.windows import Limits

WINDOWS = 64
UNSEEN = 1e-5
"""Differences below this fraction of the largest flux, as from 32-bit floats, are not reported."""


class AnswersDiffer(FileError):
    """A network that was read as another one: a defect of a reader here, whatever the file holds."""


def fluxes_of(layers: tuple[Layer, ...], windows: Floats) -> Floats:
    """Fluxes of a network for windows, float64 [n]."""
    values = windows
    for number, layer in enumerate(layers):
        values = values @ layer.weight.T + layer.bias
        if number + 1 < len(layers):
            values = np.maximum(values, 0)
    return np.asarray(values[:, 0], np.float64)


def compared(path: Path, network: Network, limits: Limits) -> list[str]:
    """Compare a network that was read with an independent evaluation of its file.

    Parameters
    ----------
    path : Path
        File for error messages.
    limits : Limits
        Operating range of the windows.

    Returns
    -------
    list of str
        Notes for the user.

    Raises
    ------
    FileError
        The results differ by more than omitted rounding explains.
    """
    oracle = network.oracle
    if oracle is None:
        return []
    least, largest = max(limits.lower, oracle.covered[0]), min(limits.upper, oracle.covered[1])
    windows = replace(limits, lower=least, upper=largest, cells=network.window).windows(WINDOWS)
    # Both get the same numbers, rounded to the file's floats.
    windows = windows.astype(oracle.dtype).astype(np.float64)
    try:
        answers = oracle.fluxes(path, windows)
    except UsageError as error:
        if isinstance(error, FileError):
            raise
        return [f"not compared with {oracle.name}: {error}"]
    expected = fluxes_of(network.layers, windows)
    differences = np.abs(answers - expected[:, None]).max(axis=1)
    worst = int(np.argmax(np.where(np.isnan(differences), np.inf, differences)))
    size = float(np.abs(expected).max())
    # Negated so that NaN is refused, too.
    if not differences[worst] <= oracle.rounding:
        shown = ", ".join(f"{value:.6g}" for value in windows[worst][:8])
        raise AnswersDiffer(
            path,
            f"was read as a network with the flux {expected[worst]:.6g} for the window ({shown}"
            f"{', ...' if windows.shape[1] > 8 else ''}), but {oracle.name} gives {answers[worst][0]:.6g}; rounding "
            f"explains {oracle.rounding:.2g}",
            remedy="please report this file",
        )
    if differences[worst] <= UNSEEN * size:
        return []
    return [
        f"fluxes of {oracle.name} for {WINDOWS} windows differ by up to {differences[worst]:.2g}, "
        f"{100 * differences[worst] / size:.2g} % of the largest flux; omitted rounding explains up to "
        f"{oracle.rounding:.2g}"
    ]
