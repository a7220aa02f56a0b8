"""Errors that a user can cause or must hear of.

Every message says what was wrong, where, and what to do. The command line maps the classes to exit codes:
`UsageError` to 2, `CheckError` to 1. Anything else that escapes is a defect of this package.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pisnn_deploy.core.printable import printable

_LONGEST_FIELD = 200
"""Characters of a field's name that a message shows."""


class PisnnError(Exception):
    """Base of all errors that this package raises on purpose.

    Parameters
    ----------
    message : str
        One line. Names and content of files in it may come from anyone: what is not printable is spelled out.
    """

    exit_code = 2

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message))

    @property
    def parts(self) -> tuple[PisnnError, ...]:
        """The errors that this one stands for; each is a line on its own."""
        return (self,)


class UsageError(PisnnError):
    """Wrong usage, or input that cannot be used."""

    exit_code = 2


class FileError(UsageError):
    """A file that cannot be read, or whose content is not what it must be.

    Parameters
    ----------
    path : Path or str
        The file.
    problem : str
        What is wrong with it.
    field : str, optional
        The field, member or tensor inside the file.
    remedy : str, optional
        What to do about it.
    """

    def __init__(self, path: Path | str, problem: str, *, field: str = "", remedy: str = "") -> None:
        field = printable(field[:_LONGEST_FIELD])
        where = f"{path}: {field}" if field else f"{path}"
        super().__init__(f"{where}: {problem}" + (f"; {remedy}" if remedy else ""))
        self.path = Path(path)
        self.field = field
        self.problem = problem
        self.remedy = remedy


class SeveralErrors(UsageError):
    """Everything that is wrong with an input at once.

    Parameters
    ----------
    errors : sequence of UsageError
        At least one.
    """

    def __init__(self, errors: Sequence[UsageError]) -> None:
        super().__init__(" / ".join(map(str, errors)))
        self.errors = tuple(errors)

    @property
    def parts(self) -> tuple[PisnnError, ...]:
        """The errors, in their order."""
        return self.errors

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self.errors,)


class CompileError(UsageError):
    """A model that cannot be compiled as asked.

    Parameters
    ----------
    pass_name : str
        The compiler pass that found it.
    problem : str
        What is wrong.
    remedy : str, optional
        What to do about it.
    """

    def __init__(self, pass_name: str, problem: str, *, remedy: str = "") -> None:
        super().__init__(f"{pass_name}: {problem}" + (f"; {remedy}" if remedy else ""))
        self.pass_name = pass_name


class DoesNotFit(CompileError):
    """Numbers that no word of the target holds: a coarser quantum or a narrower range may help."""


class UnstableError(CompileError):
    """A graph in which something grows that must not."""


class CheckError(PisnnError):
    """A verification that failed."""

    exit_code = 1


class OverflowViolation(CheckError):
    """A value outside its declared bits.

    Parameters
    ----------
    population, quantity : str
        Where it happened, e.g. ``"flux"`` and ``"current"``.
    index : int
        The neuron in the population.
    step : int
        The PDE step, counted from 0.
    value, bits : int
        The value, and the signed width that was declared for it.
    """

    def __init__(self, population: str, quantity: str, index: int, step: int, value: int, bits: int) -> None:
        super().__init__(
            f"overflow: {population} {quantity} [{index}] is {value} at PDE step {step}, outside its {bits} signed bits"
        )
        self.population = population
        self.quantity = quantity
        self.index = index
        self.step = step
        self.value = value
        self.bits = bits

    @property
    def kind(self) -> str:
        """``"overflow"``, beside the kinds of `InvariantViolation`."""
        return "overflow"

    @property
    def place(self) -> str:
        """Where it was seen, e.g. ``"flux current [3]"``."""
        return f"{self.population} {self.quantity} [{self.index}]"

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self.population, self.quantity, self.index, self.step, self.value, self.bits)


class InvariantViolation(CheckError):
    """A conservation invariant or an assumption of the compiler that did not hold.

    Parameters
    ----------
    kind : str
        ``"global"`` (I1), ``"local"`` (I2), ``"flux"`` (I3) or ``"range"`` (the compiler's assumption).
    population : str
        Where it was seen.
    index : int
        The cell or face; -1 for a sum over all of them.
    step : int
        The PDE step, counted from 0.
    expected, found : int
        The two integers that should have been equal (for a range: the nearest limit, and the value).

    Attributes
    ----------
    place : str
        Where it was seen, e.g. ``"membrane [17]"``.
    """

    def __init__(self, kind: str, population: str, index: int, step: int, expected: int, found: int) -> None:
        place = self.place = f"{population} [{index}]" if index >= 0 else population
        super().__init__(
            f"{kind} invariant broken: {place} at PDE step {step}: expected {expected}, found {found}"
            if kind != "range"
            else f"operating range left: {place} at PDE step {step}: limit {expected}, found {found}"
        )
        self.kind = kind
        self.population = population
        self.index = index
        self.step = step
        self.expected = expected
        self.found = found

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self.kind, self.population, self.index, self.step, self.expected, self.found)
