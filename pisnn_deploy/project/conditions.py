"""Parse boundary conditions and materials from text, YAML and arrays."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler import Material
from pisnn_deploy.core.errors import FileError, UsageError
from pisnn_deploy.core.plain_yaml import read_mapping
from pisnn_deploy.fields.npy_file import read_field
from pisnn_deploy.mesh import DIRICHLET, NO_FLUX, Boundary, boundary_from_mapping, parse_boundary, unknown_group
from pisnn_deploy.mesh.boundary import LARGEST_VALUE
from pisnn_deploy.mesh.file_content import FORMATS

PROPERTIES = ("conductivity", "capacity")


def is_mesh_file(text: str) -> bool:
    """Whether a mesh is given as a file, by its suffix."""
    return Path(text).suffix.lower() in FORMATS


def is_yaml(text: str) -> bool:
    """Whether a boundary is given as a YAML file."""
    return Path(text).suffix in (".yaml", ".yml")


def read_boundary(text: str, dimensions: int) -> Boundary:
    """Read the boundary conditions of a grid from a YAML file or from text.

    Raises
    ------
    UsageError
        The file or text cannot be understood.
    """
    if is_yaml(text):
        return boundary_from_mapping(read_mapping(Path(text)), dimensions)
    return parse_boundary(text, dimensions)


def read_groups(
    text: str | None, known: Sequence[str], elsewhere: Mapping[str, str] = MappingProxyType({})
) -> dict[str, float]:
    """Read the values of the boundary groups of a mesh that have reservoirs.

    Parameters
    ----------
    text : str or None
        ``no-flux`` for all, ``hole=dirichlet=1 rim=no-flux``, or a YAML file with ``hole: {dirichlet: 1}``.
    known : sequence of str
        Groups of the mesh's boundary. Their names may contain spaces, also in text.
    elsewhere : mapping of str to str, optional
        Other groups of the mesh and their kind, for messages.

    Raises
    ------
    UsageError
        The condition is not known, a group is unknown or given twice, or a value is not a number.
    """
    if text is None or text.strip() == NO_FLUX:
        return {}
    if is_yaml(text):
        entries: list[tuple[str, object]] = list(read_mapping(Path(text)).items())
    else:
        entries = []
        for group, rest in _entries(text, known):
            kind, _, number = rest.partition("=")
            entries.append((group, {kind: _number(number)} if kind == DIRICHLET else rest))
    values: dict[str, float] = {}
    seen: set[str] = set()
    for group, entry in entries:
        condition: Any = entry
        if group not in known:
            raise UsageError(f"boundary: {unknown_group(group, known, elsewhere)}")
        if group in seen:
            raise UsageError(f"boundary: group {group!r} is given twice")
        seen.add(group)
        if condition == NO_FLUX:
            continue
        value = condition.get(DIRICHLET) if isinstance(condition, dict) and list(condition) == [DIRICHLET] else None
        if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= LARGEST_VALUE:
            raise UsageError(
                f"boundary: {group!r} must be no-flux or dirichlet with a number, such as {group}=dirichlet=1"
            )
        values[group] = float(value)
    return values


def _entries(text: str, known: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Pairs of a name and the text after its ``=``, up to the next blank. Known names may contain both."""
    longest_first = sorted(known, key=len, reverse=True)
    text = text.strip()
    while text:
        begun = [name for name in longest_first if text.startswith(f"{name}=")]
        meant = [name for name in begun if text[len(name) + 1 :].startswith((DIRICHLET, NO_FLUX))]
        name = next(iter([*meant, *begun]), None)
        word, *rest = re.split(r"\s+", text if name is None else text[len(name) + 1 :], maxsplit=1)
        if name is None:
            name, _, word = word.partition("=")
        yield name, word
        text = "".join(rest)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def read_materials(path: Path | None) -> dict[str, Material]:
    """Read materials from a YAML file: by name, ``{conductivity: 16.0, capacity: 3.8}``.

    Raises
    ------
    FileError
        The file holds anything but positive numbers under these keys.
    """
    if path is None:
        return {}
    materials = {}
    for name, entry in read_mapping(path).items():
        if not isinstance(entry, dict) or not set(entry) <= set(PROPERTIES) or "conductivity" not in entry:
            raise FileError(path, "needs a conductivity and may have a capacity, but no other key", field=str(name))
        for quantity, value in entry.items():
            if not _is_positive(value):
                raise FileError(path, "must be a positive number", field=f"{name}.{quantity}")
        materials[str(name)] = Material(**{quantity: float(value) for quantity, value in entry.items()})
    return materials


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= LARGEST_VALUE


def read_cell_property(path: Path | None, shape: tuple[int, ...]) -> NDArray[np.float64] | None:
    """Read a positive property of each cell of a grid from an ``.npy`` file.

    Returns
    -------
    float64 array of that shape, or None
        The values; None without a file.

    Raises
    ------
    FileError
        It is not such a file, or a value is not positive.
    """
    if path is None:
        return None
    values = read_field(path, shape)
    wrong = np.flatnonzero(values.reshape(-1) <= 0)
    if wrong.size:
        raise FileError(path, f"value {values.reshape(-1)[wrong[0]]:g} is not positive", field=f"cell {int(wrong[0])}")
    return values
