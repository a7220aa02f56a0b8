"""Requests to check artifacts against profiles, with a choice of rules and an optional baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from pisnn_deploy.checks import ALL_RULES, Report, Rule, check_target
from pisnn_deploy.checks.baseline import Baseline
from pisnn_deploy.checks.outcome import Chosen, MadeWith, Outcome
from pisnn_deploy.checks.rule import DEFAULT_HORIZON
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.estimates.activity import read_activity
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.project.keywords import FileName, request_of
from pisnn_deploy.target import Target, digest_of_profile, load_target, own_profile, source_of
from pisnn_deploy.verify import check_certificate

if TYPE_CHECKING:
    from typing_extensions import Unpack

LARGEST_GROWTH = 5.0
"""Default limit for the growth of a resource, in percent."""


class CheckKeywords(TypedDict, total=False):
    """Keywords of a check besides profiles: the options of ``check`` by name."""

    select: str | None
    ignore: str | None
    baseline: FileName | None
    max_growth: float | None
    events: FileName | None
    against_seconds: float | None
    horizon: int


@dataclass(frozen=True)
class Subject:
    """Inputs of the estimates for an artifact.

    Attributes
    ----------
    events : str or Path or None
        Result of ``simulate --json``, whose counts the estimates then use.
    against_seconds : float or None
        Seconds per PDE step of a float solver, to compare with.
    horizon : int
        PDE steps to run for.
    """

    events: FileName | None = None
    against_seconds: float | None = None
    horizon: int = DEFAULT_HORIZON

    def __post_init__(self) -> None:
        seconds = self.against_seconds
        if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
            raise UsageError(f"`against_seconds` {seconds}: expected a positive number of seconds")
        if self.horizon < 0:
            raise UsageError(f"`horizon` {self.horizon}: expected at least 0 PDE steps")


@dataclass(frozen=True)
class Growing:
    """Baseline, and how much resources may grow compared with it.

    Attributes
    ----------
    baseline : str or Path or None
        JSON report to compare with.
    max_growth : float or None
        Percent; `LARGEST_GROWTH` by default.
    """

    baseline: FileName | None = None
    max_growth: float | None = None

    def __post_init__(self) -> None:
        if self.max_growth is None:
            return
        if self.baseline is None:
            raise UsageError("`max_growth`: nothing to compare with; add `baseline` FILE")
        if not (math.isfinite(self.max_growth) and self.max_growth >= 0):
            raise UsageError(f"`max_growth` {self.max_growth}: expected a finite number of percent")

    @cached_property
    def old(self) -> Baseline | None:
        """The baseline report."""
        return None if self.baseline is None else Baseline(Path(self.baseline))


@dataclass(frozen=True)
class Selection:
    """Selection of rules.

    Attributes
    ----------
    select, ignore : str or None
        Codes or starts of codes, such as ``PD001,PD1``: only these, and not these.
    """

    select: str | None = None
    ignore: str | None = None

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The selected rules.

        Raises
        ------
        UsageError
            No rule has a code like that; ignoring it would silently check too much or too little.
        """
        selected, ignored = _codes("select", self.select), _codes("ignore", self.ignore)
        return tuple(rule for rule in ALL_RULES if (not selected or rule.code in selected) and rule.code not in ignored)


@dataclass(frozen=True)
class CheckRequest:
    """A request to check an artifact.

    Attributes
    ----------
    profiles : tuple of str
        Names or YAML files; by default the profile that the artifact names.
    selection : Selection
        Rules to check.
    growing : Growing
        Baseline and allowed growth.
    subject : Subject
        Inputs of the estimates.
    """

    profiles: tuple[str, ...] = ()
    selection: Selection = Selection()
    growing: Growing = Growing()
    subject: Subject = Subject()


def check_request(profiles: Sequence[str] = (), **options: Unpack[CheckKeywords]) -> CheckRequest:
    """Build a request from keywords, whichever group they belong to.

    Parameters
    ----------
    profiles : sequence of str
        Names or YAML files.
    **options
        See `CheckKeywords`.

    Raises
    ------
    UsageError
        Options exclude each other; the message names the option.
    TypeError
        No such option.
    """
    return request_of(CheckRequest, CheckKeywords, options, profiles=tuple(profiles))


def outcomes_of(
    request: CheckRequest, graph: IntegerGraph, name: Path, place: Path | None = None, altered: tuple[str, ...] = ()
) -> Iterator[Outcome]:
    """Check an artifact against each profile.

    Parameters
    ----------
    name : Path
        Name of the artifact in reports.
    place : Path, optional
        Path of the artifact in its repository.
    altered : tuple of str
        Members that are not what the certificate was issued for.

    Raises
    ------
    UsageError
        A profile, rule or file cannot be used.
    """
    subject, growing = request.subject, request.growing
    rejected = tuple((f.claim, f.text) for f in check_certificate(graph, altered) if not f.holds)
    activity = None if subject.events is None else read_activity(Path(subject.events), graph)
    files = tuple(None if path is None else str(path) for path in (growing.baseline, subject.events))
    growth = LARGEST_GROWTH if growing.max_growth is None else growing.max_growth
    for source, target, chosen in _targets(request.profiles, graph.profile, name):
        whole = check_target(graph, target, rejected, subject.horizon, activity, subject.against_seconds)
        rules = tuple(rule for rule in request.selection.rules if rule.code in whole.codes)
        if request.selection.rules and not rules:
            raise UsageError(
                f"`select`: none of these rules is for {target.name}; its rules are {', '.join(whole.codes)}"
            )
        report = _filtered(whole, rules)
        growths = None if growing.old is None else growing.old.growths(report.profile, report.resources, growth)
        made_with = MadeWith(source_of(source), digest_of_profile(target), chosen, *files)
        yield Outcome(name, report, rules, growths, made_with, place)


def rules_of(option: str, text: str) -> tuple[Rule, ...]:
    """Rules that codes, or starts of codes such as ``PD1``, name.

    Parameters
    ----------
    option : str
        Where the codes come from, for messages.
    text : str
        Codes and starts of codes, separated by commas.

    Raises
    ------
    UsageError
        No rule's code starts like that.
    """
    starts = [code.strip().upper() for code in text.split(",")]
    for start in starts:
        if len(start) < len("PD") or not any(rule.code.startswith(start) for rule in ALL_RULES):
            known = ", ".join(rule.code for rule in ALL_RULES)
            raise UsageError(f"{option} {start!r}: no such rule; known are {known}")
    return tuple(rule for rule in ALL_RULES if rule.code.startswith(tuple(starts)))


def _targets(profiles: Sequence[str], own: str, artifact: Path) -> Iterator[tuple[str, Target, Chosen]]:
    """Profiles to check against: name or path, profile, and who named it."""
    for name in profiles:
        yield name, load_target(name), "--profile"
    if not profiles:
        profile = own_profile(own, str(artifact))
        yield profile.name, profile, "artifact" if own else "default"


def _codes(option: str, text: str | None) -> frozenset[str]:
    if text is None:
        return frozenset()
    return frozenset(rule.code for rule in rules_of(f"`{option}`", text))


def _filtered(report: Report, rules: Sequence[Rule]) -> Report:
    codes = {rule.code for rule in rules}
    return replace(report, findings=tuple(finding for finding in report.findings if finding.rule in codes))
