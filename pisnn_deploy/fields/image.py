"""A picture as an initial field of a plane."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.reading import read_bytes
from pisnn_deploy.fields.content import Floats
from pisnn_deploy.graph import IntegerGraph

LARGEST = 1 << 28
"""In bytes."""


def read_image(path: Path, graph: IntegerGraph) -> Floats:
    """Read cell averages from the grey values of a ``.png`` file: black is the lowest value of the operating range.

    White is the highest. Columns of pixels run along x, and the lowest row is the first along y. Colours become grey by
    their luminance (ITU-R 601); a transparent pixel counts with its colour.

    Returns
    -------
    float64 array [cells]
        Grey values scaled to the operating range.

    Raises
    ------
    FileError
        The graph is not of one field on a plane grid, or the picture has another size than the grid.
    """
    grid = graph.mesh.grid
    if grid is None or len(grid.shape) != 2 or len(graph.fields) > 1:
        raise FileError(path, "a picture can only start one field on a grid of two axes")
    content = read_bytes(path, LARGEST)
    from io import BytesIO

    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(BytesIO(content), formats=("PNG",)) as picture:
                columns, rows = picture.size
                if (columns, rows) != grid.shape:
                    expected = f"{grid.shape[0]} by {grid.shape[1]}"
                    problem = f"has {columns} by {rows} pixels, the mesh has {expected} cells"
                    raise FileError(path, problem, remedy=f"scale it to {expected} pixels, or compile for its size")
                grey = _grey(picture)
    except (UnidentifiedImageError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise FileError(path, "is not a PNG picture, or is too large") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise FileError(path, f"is damaged ({error})") from error
    low, high = graph.range_of(graph.sole_field)
    return np.asarray(low + (high - low) * grey[::-1].T, np.float64).reshape(-1)


def _grey(picture: object) -> Floats:
    """Grey values between 0 and 1, float64 [rows, columns]."""
    from PIL import Image

    assert isinstance(picture, Image.Image)
    if picture.mode.startswith("I"):  # 16 bits
        return np.asarray(picture, np.float64) / 65535
    return np.asarray(picture.convert("L"), np.float64) / 255


def scale_text(graph: IntegerGraph) -> str:
    """How grey values become values of cells, as a sentence."""
    low, high = graph.range_of(graph.sole_field)
    return f"black is {low:g}, white is {high:g} (the operating range)"
