"""The runner of passes: it verifies, times and records each."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import Field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pisnn_deploy.compiler.facts import Fact
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.graph import CellGraph, FloatGraph, IntegerGraph, PassRecord
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.mesh import Boundary
from pisnn_deploy.physics.model import OperatingRange
from pisnn_deploy.target import Profile

if TYPE_CHECKING:
    from pisnn_deploy.compiler.options import CompileOptions

_LOG = logging.getLogger(__name__)
Report = Callable[[str, float], None]
"""Called with the name of a pass and its seconds, which must not enter the graph's bytes."""
Floating = FloatGraph | CellGraph
"""A graph before quantisation."""


class Pass(Protocol):
    """A pass: a frozen dataclass of its options that maps a model or graph to a graph."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    name: ClassVar[str]
    requires: ClassVar[tuple[Fact, ...]]
    ensures: ClassVar[tuple[Fact, ...]]

    @classmethod
    def asked(cls, options: CompileOptions, floating: Floating | None) -> Pass | None:
        """The pass configured by options; None where they do not ask for it.

        Parameters
        ----------
        floating : FloatGraph or CellGraph or None
            Lowered graph; None before lowering.
        """

    def __call__(self, subject: Any, /) -> Any:
        """Return a new graph."""

    def summary(self, made: Any, /) -> str:
        """One sentence that describes the result."""


def silent(name: str, seconds: float) -> None:
    """Report callback that does nothing."""


def run_passes(subject: Any, passes: Iterable[Pass], report: Report = silent) -> tuple[Any, tuple[PassRecord, ...]]:
    """Run passes, verifying the facts that each requires and ensures, and that the graph is well formed.

    Parameters
    ----------
    subject : Model, FloatGraph, CellGraph or IntegerGraph
        Input of the first pass.
    report : callable
        Called with the name of each pass that has run and its seconds.

    Returns
    -------
    graph : FloatGraph, CellGraph or IntegerGraph
        Result of the last pass.
    records : tuple of PassRecord
        One per pass.

    Raises
    ------
    CompileError
        A pass refused the graph, or broke it.
    """
    records = []
    for each in passes:
        started = time.perf_counter()
        _verify(each.requires, subject, each.name, "requires")
        subject = each(subject)
        flaws = defects(subject) if isinstance(subject, IntegerGraph) else ()
        if flaws:
            raise CompileError(each.name, f"left a graph that is not well formed: {flaws[0]}")
        _verify(each.ensures, subject, each.name, "ensures")
        records.append(PassRecord(each.name, _options_text(each), each.summary(subject)))
        _LOG.debug("%s: %s", records[-1].text, records[-1].summary)
        report(each.name, time.perf_counter() - started)
    return subject, tuple(records)


def _verify(facts: tuple[Fact, ...], graph: object, name: str, verb: str) -> None:
    for fact in facts:
        if not fact.holds(graph):
            raise CompileError(name, f"{verb} a graph that is {fact.name}, but it is not")


def _options_text(each: Pass) -> str:
    """The options of a pass, such as ``state-bits=24 payload-bits=24``."""
    recorded = [field for field in fields(each) if field.metadata.get("recorded", True)]
    return " ".join(f"{field.name.replace('_', '-')}={_plain(getattr(each, field.name))}" for field in recorded)


def _plain(value: object) -> str:
    if isinstance(value, OperatingRange):
        return f"{value.lower}..{value.upper}/{value.slope}/{value.flux}"
    if isinstance(value, Profile):
        return value.name
    if isinstance(value, Boundary):
        return value.text.replace(" ", "-")
    if isinstance(value, tuple):
        return "x".join(str(item) for item in value)
    return str(value)
