"""Errors for users.

Every message says what was wrong, where, and what to do. The command line maps the classes to exit codes:
`UsageError` to 2, `CheckError` to 1. Any other exception that escapes is a bug in this package.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pisnn_deploy.core.printable import printable

_LONGEST_FIELD = 200
"""Maximum number of characters of a field's name in a message."""

LONGEST_LINE = 2000
"""Characters of a message; what is wrong stands at its start, and what to do at its end."""


class PisnnError(Exception):
    """Base of all errors that this package raises on purpose.

    Parameters
    ----------
    message : str
        One line. It may quote untrusted names and content, so unprintable characters are escaped, and the middle of
        a line beyond `LONGEST_LINE` is left out.
    """

    exit_code = 2

    def __init__(self, message: str = "") -> None:
        super().__init__(shortened(printable(message)))

    @property
    def parts(self) -> tuple[PisnnError, ...]:
        """The individual errors, each reported on its own line."""
        return (self,)


class UsageError(PisnnError):
    """Wrong usage or invalid input."""

    exit_code = 2


class FileError(UsageError):
    """A file that cannot be read, or whose content is invalid.

    Parameters
    ----------
    path : Path or str
        Path of the file.
    problem : str
        What is wrong with it.
    field : str, optional
        Field, member or tensor inside the file.
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
    """All errors of one input, or of one command.

    Parameters
    ----------
    errors : sequence of PisnnError
        At least one, of which one is of wrong usage or input.
    """

    def __init__(self, errors: Sequence[PisnnError]) -> None:
        super().__init__()
        self.args = (" / ".join(map(str, errors)),)
        self.errors = tuple(errors)

    @property
    def parts(self) -> tuple[PisnnError, ...]:
        """The individual errors, in order."""
        return self.errors

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self.errors,)


class CompileError(UsageError):
    """A model that cannot be compiled as requested.

    Parameters
    ----------
    pass_name : str
        Compiler pass that failed.
    problem : str
        What is wrong.
    remedy : str, optional
        What to do about it.
    """

    def __init__(self, pass_name: str, problem: str, *, remedy: str = "") -> None:
        super().__init__(f"{pass_name}: {problem}" + (f"; {remedy}" if remedy else ""))
        self.pass_name = pass_name


class DoesNotFit(CompileError):
    """Numbers too large for the target's words; a coarser quantum or a narrower range may help."""


class UnstableError(CompileError):
    """A graph whose fields would grow without bound."""


class CheckError(PisnnError):
    """A failed check or verification."""

    exit_code = 1


class SumTooLarge(CheckError):
    """A weighted sum that no word of 64 bits holds.

    Parameters
    ----------
    row : int
        Number of the neuron, or of the row of a matrix.
    value : int
        The sum.
    """

    def __init__(self, row: int, value: int) -> None:
        super().__init__(f"overflow: the weighted sum of row {row} is {value}, outside 64 signed bits")
        self.row, self.value = row, value

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self.row, self.value)


class OverflowViolation(CheckError):
    """A value outside its declared width.

    Parameters
    ----------
    population, quantity : str
        Names such as ``"flux"`` and ``"current"``.
    index : int
        Index of the neuron in the population.
    step : int
        PDE step, from 0.
    value, bits : int
        The value and its declared signed width.
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
        """``"overflow"``; compare the kinds of `InvariantViolation`."""
        return "overflow"

    @property
    def place(self) -> str:
        """Where the value is, such as ``"flux current [3]"``."""
        return f"{self.population} {self.quantity} [{self.index}]"

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self.population, self.quantity, self.index, self.step, self.value, self.bits)


class InvariantViolation(CheckError):
    """A violated conservation invariant, or a violated assumption of the compiler.

    Parameters
    ----------
    kind : str
        ``"global"`` (I1), ``"local"`` (I2), ``"flux"`` (I3) or ``"range"`` (the compiler's assumption).
    population : str
        Name of the population.
    index : int
        Index of the cell or face; -1 for a sum over all of them.
    step : int
        PDE step, from 0.
    expected, found : int
        Two integers that should be equal (for ``"range"``: the nearest limit and the value).

    Attributes
    ----------
    place : str
        Where the violation is, such as ``"membrane [17]"``.
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


def shortened(line: str) -> str:
    """A line without its middle if it is longer than `LONGEST_LINE`."""
    if len(line) <= LONGEST_LINE:
        return line
    end = LONGEST_LINE // 4
    return f"{line[: LONGEST_LINE - end]} ... {line[-end:]}"
