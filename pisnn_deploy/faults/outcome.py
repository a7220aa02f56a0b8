"""Attribution of violations to faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pisnn_deploy.audit.recovery import Detection
from pisnn_deploy.faults.spec import PACKET_KINDS, Fault
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.lines import stored_synapses


@dataclass(frozen=True)
class Outcome:
    """Outcome of a fault.

    Attributes
    ----------
    spec : str
        Specification of the fault.
    detected : bool
        Whether a violation is attributed to it.
    kind, step, place : str, int, str, or None
        The first violation that is attributed to it.
    healed : bool
        Whether that was repaired and the run continued.
    """

    spec: str
    detected: bool
    kind: str | None = None
    step: int | None = None
    place: str | None = None
    healed: bool = False


def outcomes(graph: IntegerGraph, faults: Sequence[Fault], detections: Sequence[Detection]) -> tuple[Outcome, ...]:
    """Attribute violations to faults.

    A violation is attributed to the faults that hit masses, packets or flux compartments in its PDE step. Without such
    faults, it is attributed to earlier dead cores and faulty weights of the route; a value that exceeds its range or
    width, to the last fault before.

    Parameters
    ----------
    faults : sequence of Fault
        Faults of the run, in any order.
    detections : sequence of Detection
        Violations in the order of detection.

    Returns
    -------
    tuple of Outcome
        One outcome per fault.
    """
    first: dict[int, Detection] = {}
    for detection in detections:
        causes = [number for number, fault in enumerate(faults) if _strikes(graph, fault, detection.step)]
        causes = causes or _leading_to(graph, faults, detection)
        for number in causes:
            first.setdefault(number, detection)
    return tuple(
        Outcome(str(fault), True, earliest.kind, earliest.step, earliest.place, earliest.healed)
        if (earliest := first.get(number)) is not None
        else Outcome(str(fault), False)
        for number, fault in enumerate(faults)
    )


def _strikes(graph: IntegerGraph, fault: Fault, step: int) -> bool:
    if fault.kind in PACKET_KINDS:
        return step in (fault.step + 1, fault.step + 1 + fault.delay)
    is_hit = (fault.kind == "flip" and not fault.lasts) or (fault.kind == "stale" and fault.place in graph.holders)
    return is_hit and step == fault.step


def _leading_to(graph: IntegerGraph, faults: Sequence[Fault], detection: Detection) -> list[int]:
    begun = [number for number, fault in enumerate(faults) if fault.step <= detection.step]
    if detection.kind in ("range", "overflow"):
        last = max((faults[number].step, faults[number].phase) for number in begun) if begun else None
        return [number for number in begun if (faults[number].step, faults[number].phase) == last]
    return [number for number in begun if faults[number].kind == "dead" or _is_of_route(graph, faults[number])]


def _is_of_route(graph: IntegerGraph, fault: Fault) -> bool:
    return any(
        line.synapse.name == fault.synapse and line.synapse.target in graph.holders for line in stored_synapses(graph)
    )
