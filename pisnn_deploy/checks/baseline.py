"""Comparison of a graph's resources with an earlier report: excessive growth fails the check."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from pisnn_deploy.checks.report import BoardResources, Resources, Severity
from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.field_errors import problem_text
from pisnn_deploy.core.reading import parse_plain_json, read_bytes

LARGEST_REPORT = 1 << 24
"""Largest size in bytes; larger files are refused before parsing."""
_REMEDY = "write it with: pisnn-deploy check ARTIFACT --format json --output FILE"
_ROUNDING = 1e-12
"""Relative tolerance for the rounding of fractions."""

_Count = Annotated[int, Field(ge=0, lt=1 << 63)]
_Fraction = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Value = int | float | str | None
# Names are printed and the file is untrusted, so control characters and long names are refused.
_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
_MOST_REPORTS = 64
_LONGEST_FIELD = 80


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)


class _Resources(_Strict):
    cores: _Count
    chips: _Count
    neurons: _Count
    synapses: _Count
    synaptic_memory_words: _Count
    # Reports of older versions do not have these counts.
    input_axons: _Count | None = None
    output_axons: _Count | None = None
    utilisation: dict[_Name, _Fraction]

    @property
    def amounts(self) -> dict[str, int]:
        """The counts that it has."""
        return self.model_dump(exclude={"utilisation"}, exclude_none=True)


class _BoardResources(_Strict):
    neurons: _Count
    synapses: _Count
    amounts: dict[_Name, _Count]
    utilisation: dict[_Name, _Fraction]


def _of_either(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """Resources of a board have amounts, those of a chip have none."""
    is_board = isinstance(value, dict) and "amounts" in value
    return _BoardResources.model_validate(value) if is_board else handler(value)


class _Finding(_Strict):
    rule: str
    name: str
    severity: Severity
    population: str
    value: _Value
    limit: _Value
    message: str
    fix: str


class _Estimate(_Strict):
    value: float | None
    low: float | None
    high: float | None
    confidence: str
    sources: list[str]


class _Growth(_Strict):
    resource: str
    old: _Fraction
    new: _Fraction
    change_percent: float | None
    grew: bool


class _Report(_Strict):
    artifact: str = ""
    profile: _Name
    passed: bool = Field(alias="pass")
    findings: list[_Finding]
    resources: Annotated[_Resources, WrapValidator(_of_either)]
    estimates: dict[str, _Estimate]
    rules_left_out: list[str] = []
    baseline: list[_Growth] = []
    # Ignored: these do not affect growth.
    made_with: dict[str, Any] = {}
    comparison: dict[str, Any] = {}


class _Reports(_Strict):
    reports: Annotated[list[_Report], Field(max_length=_MOST_REPORTS)]


@dataclass(frozen=True)
class Growth:
    """Change of one resource since the baseline.

    Attributes
    ----------
    resource : str
        Key in the report's resources, such as ``cores`` or ``utilisation.neurons``.
    old, new : int or float
        Values in the baseline and now, as fractions for utilisations; 0 if missing in the baseline.
    """

    resource: str
    old: int | float
    new: int | float
    allowed_percent: float

    @property
    def change_percent(self) -> float | None:
        """Change in percent of the old value; None if it grew from 0."""
        if self.new == self.old:
            return 0.0
        change = 100.0 * (self.new - self.old) / self.old if self.old else math.inf
        return change if math.isfinite(change) else None

    @property
    def grew(self) -> bool:
        """Whether it grew more than allowed; growth from 0 is never allowed."""
        most = self.old * (1.0 + self.allowed_percent / 100.0) * (1.0 + _ROUNDING)
        return self.new > most

    @property
    def message(self) -> str:
        """The change and the allowed growth, in words."""
        allowed = f"at most {self.allowed_percent:g}% is allowed"
        old, new = amount(self.old), amount(self.new)
        return f"{self.resource} went from {old} to {new} ({self.change}), but {allowed}"

    @property
    def change(self) -> str:
        """The change in percent as text, or ``new``."""
        return "new" if self.change_percent is None else f"{self.change_percent:+.1f}%"

    def to_dict(self) -> dict[str, Any]:
        """Return an entry of the JSON list ``baseline``."""
        return {
            "resource": self.resource,
            "old": self.old,
            "new": self.new,
            "change_percent": self.change_percent,
            "grew": self.grew,
        }


def amount(value: int | float) -> str:
    """Format a resource: counts as integers, fractions in percent."""
    return str(value) if isinstance(value, int) else f"{value:.2%}"


class Baseline:
    """Resources of earlier reports, by profile.

    Parameters
    ----------
    path : Path
        A JSON report of ``pisnn-deploy check``; the file is untrusted.

    Raises
    ------
    FileError
        If the file cannot be read, is too large, or is not such a report.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._resources: dict[str, _Resources | _BoardResources] = {}
        for report in _read(path):
            if report.profile in self._resources:
                raise FileError(path, f"has two reports for {report.profile!r}", remedy=_REMEDY)
            self._resources[report.profile] = report.resources

    def growths(
        self, profile: str, resources: Resources | BoardResources, allowed_percent: float
    ) -> tuple[Growth, ...]:
        """Compare every resource with the baseline.

        Parameters
        ----------
        profile : str
            Name of a profile in the baseline.
        resources : Resources
            Current resources.
        allowed_percent : float
            Allowed growth in percent.

        Returns
        -------
        tuple of Growth
            Changes in the order of the report.

        Raises
        ------
        FileError
            If the baseline is for other profiles.
        """
        old = self._resources.get(profile)
        if old is None:
            known = ", ".join(map(repr, self._resources)) or "no profile"
            raise FileError(self._path, f"is a baseline for {known}, not for {profile!r}", remedy=_REMEDY)
        return tuple(_compared(old, resources, allowed_percent))


def _compared(
    old: _Resources | _BoardResources, new: Resources | BoardResources, allowed_percent: float
) -> Iterator[Growth]:
    earlier = old.amounts
    yield from (
        Growth(name, earlier[name], now, allowed_percent) for name, now in new.amounts.items() if name in earlier
    )
    for name in sorted(set(old.utilisation) | set(new.utilisation)):
        before, after = old.utilisation.get(name, 0.0), new.utilisation.get(name, 0.0)
        yield Growth(f"utilisation.{name}", before, after, allowed_percent)


def _read(path: Path) -> list[_Report]:
    content = read_bytes(path, LARGEST_REPORT, _REMEDY)
    try:
        plain = parse_plain_json(content)
    except (ValueError, RecursionError) as error:
        raise FileError(path, f"is not plain JSON ({error})", remedy=_REMEDY) from error
    try:
        if isinstance(plain, dict) and "reports" in plain:
            return _Reports.model_validate(plain).reports
        return [_Report.model_validate(plain)]
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))[:_LONGEST_FIELD]
        raise FileError(path, f"is not a check report ({problem_text(first)})", field=field, remedy=_REMEDY) from error
