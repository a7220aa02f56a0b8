"""How the parts of a graph are stored: plain JSON that names arrays stored next to it.

A dataclass that derives from `Stored` is read by pydantic from its own annotations. Its arrays are of the types below;
in JSON they are the names of members, and how many numbers each must hold is known before runs are expanded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetCoreSchemaHandler, ValidationInfo
from pydantic_core import core_schema

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.runs import Runs
from pisnn_deploy.programs import Program, parse

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Plain = dict[str, Any]

LARGEST_EXPANSION = 1 << 8
"""Most neurons for each number stored in a file."""
LARGEST_MANTISSA = 256
"""Largest mantissa of any target; products with larger ones could wrap."""


LEFT_OUT_IF_EMPTY = {"left_out_if_empty": True}
"""Metadata of attributes that are not stored where they are empty, so that files without them keep their bytes."""


class Stored:
    """Base of dataclasses stored in artifacts: unknown fields and values of other types are refused."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)


class ArrayError(Exception):
    """An array is missing or not what its graph says; the message names its member."""


class Arrays:
    """The arrays of a file, each to be used once, and what is known so far about their graph.

    Parameters
    ----------
    arrays : mapping of str to int64 array or Runs
        Runs are expanded once they are known to be as long as the graph says.
    """

    def __init__(self, arrays: Mapping[str, Integers | Runs]) -> None:
        self._rest = dict(arrays)
        self.spelled_out = sum(array.size for array in arrays.values() if not isinstance(array, Runs))
        self.cells = 0
        self.sizes: dict[str, int] = {}

    def __call__(self, name: str, size: int) -> Integers:
        """Read a list of `size` numbers; a list not stored as runs is checked with the graph instead."""
        array = self._taken(name, 1)
        if isinstance(array, Runs) and array.size != size:
            raise ArrayError(f"arrays/{name}.runs.npy has {array.size} numbers, the graph {size}")
        return _expanded(array)

    def at_most(self, name: str, most: int) -> Integers:
        """Read a list of at most that many numbers, where nothing else says its length."""
        array = self._taken(name, 1)
        if isinstance(array, Runs) and array.size > most:
            raise ArrayError(f"arrays/{name}.runs.npy has {array.size} numbers; at most {most} are possible")
        return _expanded(array)

    def columns(self, name: str, rows: int) -> Integers:
        """Read a list whose numbers ascend within each row, so equal neighbours belong to two rows."""
        array = self._taken(name, 1)
        if isinstance(array, Runs) and array.size > rows + array.fewest:
            raise ArrayError(f"arrays/{name}.runs.npy has {array.size} numbers, some of them equal within a row")
        return _expanded(array)

    def table(self, name: str) -> Integers:
        """Read a table, which is never stored as runs."""
        return _expanded(self._taken(name, 2))

    def _taken(self, name: str, dimensions: int) -> Integers | Runs:
        if name not in self._rest:
            raise ArrayError(f"arrays/{name}.npy: is missing, or is named twice")
        array = self._rest.pop(name)
        if array.ndim != dimensions:
            raise ArrayError(f"arrays/{name}.npy has {array.ndim} dimensions, it must have {dimensions}")
        return array

    def require_all_taken(self) -> None:
        """Refuse arrays that no part of the graph names."""
        if self._rest:
            name = min(self._rest)
            ending = ".runs.npy" if isinstance(self._rest[name], Runs) else ".npy"
            raise ArrayError(f"arrays/{name}{ending} does not belong to the graph")


def _expanded(array: Integers | Runs) -> Integers:
    return array.expanded() if isinstance(array, Runs) else array


def _arrays_of(info: core_schema.ValidationInfo) -> Arrays:
    assert isinstance(info.context, Arrays)
    return info.context


Length = Callable[[Plain, Arrays], int]
"""Length of an array, from fields read before it and what is known about the graph."""


class ListOf:
    """A list whose length a function gives; floats are stored as the integers of their 64 bits."""

    def __init__(self, length: Length, *, floats: bool = False) -> None:
        self._length, self._floats = length, floats

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        def read(value: object, info: core_schema.ValidationInfo) -> Integers | Floats:
            try:
                size = self._length(info.data, _arrays_of(info))
            except KeyError as error:  # the field that says the length is itself wrong
                raise ValueError(f"its length is unknown without {error.args[0]}") from error
            array = _arrays_of(info)(_name(value), size)
            return doubles(array) if self._floats else array

        return core_schema.with_info_plain_validator_function(read)


class TableOf:
    """A table of numbers."""

    def __init__(self, *, floats: bool = False) -> None:
        self._floats = floats

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        def read(value: object, info: core_schema.ValidationInfo) -> Integers | Floats:
            array = _arrays_of(info).table(_name(value))
            return doubles(array) if self._floats else array

        return core_schema.with_info_plain_validator_function(read)


class ListsOf:
    """Lists by name, each with the length that a function gives for its name; tables without a function."""

    def __init__(self, length: Callable[[str, Plain, Arrays], int] | None = None) -> None:
        self._length = length

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        def read(value: object, info: core_schema.ValidationInfo) -> dict[str, Integers]:
            if not isinstance(value, dict):
                raise ValueError("must be a mapping of names to arrays")
            arrays = _arrays_of(info)
            if self._length is None:
                return {key: arrays.table(_name(name)) for key, name in value.items()}
            try:
                return {key: arrays(_name(name), self._length(key, info.data, arrays)) for key, name in value.items()}
            except KeyError as error:
                raise ValueError(f"its length is unknown without {error.args[0]}") from error

        return core_schema.with_info_plain_validator_function(read)


class ProgramLines:
    """A program as its lines."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        def read(value: object, info: core_schema.ValidationInfo) -> Program:
            if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
                raise ValueError("must be a list of lines")
            try:
                program = parse("\n".join(value))
            except UsageError as error:
                raise ValueError(str(error)) from error
            for number, (line, written) in enumerate(zip(value, str(program).splitlines(), strict=False), 1):
                if line != written:
                    raise ValueError(f"line {number} is {line!r}, a program writes it as {written!r}")
            if len(value) != len(str(program).splitlines()):
                raise ValueError(f"has {len(value)} lines, its program is written in {len(str(program).splitlines())}")
            return program

        return core_schema.with_info_plain_validator_function(read)


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be the name of an array")
    return value


def _counted(size: int, info: ValidationInfo) -> int:
    """Size of a population, checked against the file before arrays of that size are made."""
    arrays = info.context
    assert isinstance(arrays, Arrays)
    total = size + sum(arrays.sizes.values())
    if total > LARGEST_EXPANSION * arrays.spelled_out:
        raise ValueError(f"{total} neurons are too many for a file of {arrays.spelled_out} numbers")
    arrays.sizes[str(info.data.get("name"))] = size
    return size


def doubles(bits: Integers) -> Floats:
    """Floats from the integers of their 64 bits."""
    return np.ascontiguousarray(bits).view(np.float64)


def plain(value: object, path: tuple[str, ...], arrays: dict[str, Integers]) -> Any:
    """Convert a value to plain data; arrays are collected by their paths.

    Parameters
    ----------
    value : object
        A dataclass, model, program, array, mapping, tuple or scalar.
    path : tuple of str
        Path of the value; items of a tuple are named by their `name`, else by their index.
    arrays : dict of str to int64 array
        Receives the arrays.

    Returns
    -------
    object
        For JSON.
    """
    if isinstance(value, np.ndarray):
        name = ".".join(path)
        integers = value.dtype.kind != "f"
        arrays[name] = value if integers else np.ascontiguousarray(value, np.float64).view(np.int64)
        return name
    if isinstance(value, Program):
        return str(value).splitlines()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [
            field.name
            for field in dataclasses.fields(value)
            if not field.metadata.keys() & LEFT_OUT_IF_EMPTY.keys() or getattr(value, field.name)
        ]
        return {name: plain(getattr(value, name), (*path, name), arrays) for name in names}
    if isinstance(value, Mapping):
        return {str(key): plain(item, (*path, str(key)), arrays) for key, item in value.items()}
    if isinstance(value, tuple):
        keys = [str(getattr(item, "name", number)) for number, item in enumerate(value)]
        return [plain(item, (*path, key), arrays) for key, item in zip(keys, value, strict=True)]
    return value


Integer64 = Annotated[int, Field(ge=-(2**62), le=2**62)]
Integer32 = Annotated[int, Field(ge=-(2**31), le=2**31)]
Shift = Annotated[int, Field(ge=0, le=30)]
Label = Annotated[str, Field(min_length=1, max_length=256)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
NeuronCount = Annotated[int, Field(ge=0, le=1 << 40), AfterValidator(_counted)]
CellIntegers = Annotated[Integers, ListOf(lambda data, arrays: arrays.cells)]
"""A number for each cell of the mesh."""
CellFloats = Annotated[Floats, ListOf(lambda data, arrays: arrays.cells, floats=True)]
