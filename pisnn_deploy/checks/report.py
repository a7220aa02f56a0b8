"""Results of a check, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from pisnn_deploy.estimates.compared import Comparison
from pisnn_deploy.estimates.estimate import Estimate

Severity = Literal["error", "warning", "info"]
"""``error``: does not fit. ``warning``: the profile's sources disagree. ``info``: not checked, or for information."""


@dataclass(frozen=True)
class Finding:
    """One violation of a rule, or a limit that could not be checked.

    Attributes
    ----------
    rule : str
        Code, such as ``PD103``.
    name : str
        Name of the rule, such as ``synaptic-memory``.
    population : str
        Location: a population, a synapse population, ``core 3``, or ``graph``.
    value, limit : int, float, str or None
        Actual and allowed value.
    message : str
        What is wrong, with the numbers.
    fix : str
        How to fix it, from the rule.
    """

    rule: str
    name: str
    severity: Severity
    population: str
    value: int | float | str | None
    limit: int | float | str | None
    message: str
    fix: str


@dataclass(frozen=True)
class Resources:
    """Resources that a graph uses.

    Attributes
    ----------
    cores, chips : int
        Number of cores and chips; 1 for a graph without a placement.
    synaptic_memory_words : int
        Sum over all cores, in the profile's words.
    input_axons, output_axons : int
        Sums over all cores; output axons in entries.
    utilisation : dict of str to float
        Used fraction of each limited resource; for resources of a core, in the fullest core.
    """

    cores: int
    chips: int
    neurons: int
    synapses: int
    synaptic_memory_words: int
    input_axons: int
    output_axons: int
    utilisation: dict[str, float]

    @property
    def amounts(self) -> dict[str, int]:
        """Counts by name, whose growth a baseline limits."""
        plain = asdict(self)
        return {name: count for name, count in plain.items() if name != "utilisation"}

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers by name."""
        return asdict(self)


@dataclass(frozen=True)
class BoardResources:
    """Resources of a board that an export of a graph uses.

    Attributes
    ----------
    amounts : dict of str to int
        Use of each resource, such as ``ram`` in bytes, estimated where a compiler or synthesis decides.
    utilisation : dict of str to float
        Used fraction of each limited resource.
    """

    neurons: int
    synapses: int
    amounts: dict[str, int]
    utilisation: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers by name."""
        return asdict(self)


@dataclass(frozen=True)
class Report:
    """The outcome of one check.

    Attributes
    ----------
    findings : tuple of Finding
        Findings in the order of the rules.
    estimates : dict of str to Estimate
        Estimates per PDE step, see `pisnn_deploy.estimates.estimates`.
    comparison : Comparison or None
        Comparison with a dense-coded run and a float solver; None for a board.
    codes : tuple of str
        Codes of the rules for this target.
    """

    profile: str
    findings: tuple[Finding, ...]
    resources: Resources | BoardResources
    estimates: dict[str, Estimate]
    comparison: Comparison | None
    codes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether no finding is an error."""
        return all(finding.severity != "error" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of ``pisnn-deploy check`` as plain lists, dicts, numbers and strings."""
        return {
            "profile": self.profile,
            "pass": self.passed,
            "findings": [asdict(finding) for finding in self.findings],
            "resources": self.resources.to_dict(),
            "estimates": {
                name: asdict(estimate) | {"sources": list(estimate.sources)}
                for name, estimate in self.estimates.items()
            },
            **({} if self.comparison is None else {"comparison": self.comparison.to_dict()}),
        }


@dataclass(frozen=True)
class ChipReport(Report):
    """The outcome of a check against a chip of neurons."""

    resources: Resources
    comparison: Comparison
