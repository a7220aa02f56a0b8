"""Specification of a fault: ``KIND:PLACE@STEP`` (docs/explanation/faults.md has the grammar)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pisnn_deploy.core.errors import UsageError

Kind = Literal["flip", "drop", "duplicate", "delay", "misroute", "dead", "sign-mode", "stale"]
End = Literal["both", "source", "target"]

EXAMPLES: Mapping[Kind, str] = {
    "flip": "flip:membrane[17].bit5@40",
    "drop": "drop:packet[3]@12",
    "duplicate": "duplicate:packet[3]@12",
    "delay": "delay:packet[3]+2@12",
    "misroute": "misroute:packet[3]->17@12",
    "dead": "dead:core[3]@20",
    "sign-mode": "sign-mode:weight[route]@10",
    "stale": "stale:flux[9]@12",
}
"""An example of each kind."""
PACKET_KINDS: tuple[Kind, ...] = ("drop", "duplicate", "delay", "misroute")
STATES = {"membrane": "mass", "current": "current", "residue": "residue"}
"""States in which bits can be flipped, and their names in the bounds of a graph."""
_LONGEST = 200
_LARGEST = 1 << 40

_FORM = re.compile(r"(?P<kind>[^:@]*):(?P<place>[^[@]*)\[(?P<inside>[^]]*)\](?P<rest>[^@]*)@(?P<time>.*)", re.DOTALL)
_END = r"(?:\.(?P<end>source|target))?"
_RESTS: Mapping[Kind, str] = {
    "flip": r"\.bit(?P<bit>\d{1,3})",
    "drop": _END,
    "duplicate": _END,
    "delay": _END + r"\+(?P<delay>[1-9]\d{0,12})",
    "misroute": _END + r"->(?P<other>\d{1,13})",
    "dead": "",
    "sign-mode": "",
    "stale": "",
}
"""Pattern of the text between the place and the time."""
_PLACES: Mapping[Kind, str] = {
    "flip": r"membrane|current|residue|weight|[a-z][a-z0-9-]*\.[a-z][a-z0-9_]*",
    **dict.fromkeys(PACKET_KINDS, "packet"),
    "dead": "core",
    "sign-mode": "weight",
    "stale": r"[a-z][a-z0-9-]*",
}
_CHOICES: Mapping[Kind, str] = {
    **_PLACES,
    "flip": "membrane, current, residue, weight, or a value of a program such as flux.potential",
    "stale": "a population such as membrane, flux or hidden1",
}
"""Places of each kind, for messages."""


@dataclass(frozen=True)
class Fault:
    """One fault of a run.

    Attributes
    ----------
    kind : str
        Kind of fault, a key of `EXAMPLES`.
    place : str
        ``membrane``, ``current``, ``residue``, ``weight``, ``packet``, ``core``, a population (``stale``), or
        ``population.value`` for a value of the population's program.
    index : int
        Neuron, connection of a synapse, channel of a packet, or core; 0 for all weights of a synapse.
    step : int
        PDE step, from 0; for packets the one in which they are fired.
    phase : int
        Time step within the PDE step, at whose start memories are hit or a permanent fault begins.
    synapse : str
        Name of the stored synapse population, for weights.
    bit : int
        Number of the flipped bit, 0 for the lowest.
    end : str
        Copy of the packet that is hit: at the source holder, at the target holder, or both.
    delay : int
        Delay of a packet in PDE steps.
    other : int
        Holder that receives a misrouted packet.
    of : str
        Population of the state or of the channel of a packet; empty where the graph has only one.
    """

    kind: Kind
    place: str
    index: int
    step: int
    phase: int = 0
    synapse: str = ""
    bit: int = 0
    end: End = "both"
    delay: int = 0
    other: int = 0
    of: str = ""

    def __str__(self) -> str:
        """Format the fault as a specification."""
        inside = str(self.index)
        if self.place == "weight":
            inside = self.synapse if self.kind == "sign-mode" else f"{self.synapse},{self.index}"
        elif self.of:
            inside = f"{self.of},{self.index}"
        end = "" if self.end == ("target" if self.kind == "misroute" else "both") else f".{self.end}"
        rest = {"flip": f".bit{self.bit}", "delay": f"+{self.delay}", "misroute": f"->{self.other}"}.get(self.kind, "")
        phase = f".{self.phase}" if self.phase else ""
        return f"{self.kind}:{self.place}[{inside}]{end}{rest}@{self.step}{phase}"

    @property
    def value(self) -> str:
        """Name of the program value that is hit; empty for other places."""
        return self.place.partition(".")[2]

    @property
    def population(self) -> str:
        """Population whose program or accumulators are hit; for other places, the place."""
        return self.place.partition(".")[0]

    @property
    def lasts(self) -> bool:
        """Whether the fault is permanent."""
        return self.kind in ("dead", "sign-mode") or self.place == "weight"


def parse_fault(text: str) -> Fault:
    """Parse a fault.

    Parameters
    ----------
    text : str
        Specification as on the command line, see `EXAMPLES`.

    Raises
    ------
    UsageError
        If the text is invalid; the message has an example.
    """
    matched = _FORM.fullmatch(text) if len(text) <= _LONGEST else None
    if matched is None:
        raise _error(text, "expected KIND:PLACE[INDEX]@STEP", "flip")
    name = matched["kind"]
    kind = next((known for known in EXAMPLES if known == name), None)
    if kind is None:
        raise _error(text, f"unknown kind {name!r}; use {', '.join(EXAMPLES)}", "flip")
    place = matched["place"]
    if not re.fullmatch(_PLACES[kind], place, re.ASCII):
        raise _error(text, f"{kind} cannot hit {place!r}; use {_CHOICES[kind]}", kind)
    rest = re.fullmatch(_RESTS[kind], matched["rest"], re.ASCII)
    if rest is None:
        raise _error(text, f"unexpected {matched['rest']!r} after the place", kind)
    details: dict[str, Any] = {
        key: value if key == "end" else int(value) for key, value in rest.groupdict().items() if value is not None
    }
    if kind == "misroute":
        details.setdefault("end", "target")
    name, index = _inside(text, kind, place, matched["inside"])
    step, phase = _time(text, kind, matched["time"], has_its_own="." in place)
    details["synapse" if place == "weight" else "of"] = name
    return Fault(kind, place, index, step, phase, **details)


def _inside(text: str, kind: Kind, place: str, inside: str) -> tuple[str, int]:
    """Parse the name of a synapse or population, and the index."""
    name, index = "", inside
    if place == "weight":
        name, comma, index = inside.partition(",")
        if not re.fullmatch(_NAME, name, re.ASCII) or bool(comma) != (kind == "flip"):
            expected = "the name of a synapse" + (" and the number of a connection" if kind == "flip" else "")
            raise _error(text, f"[{inside}] must be {expected}", kind, _WEIGHT if kind == "flip" else "")
        index = index if comma else "0"
    elif "," in inside and place in (*STATES, "packet"):
        name, _, index = inside.partition(",")
        if not re.fullmatch(_NAME, name, re.ASCII):
            raise _error(text, f"[{inside}] must be a number, or the name of a population and a number", kind)
    if not re.fullmatch(r"\d{1,13}", index, re.ASCII):
        raise _error(text, f"{index!r} is not a nonnegative integer", kind, _WEIGHT if place == "weight" else "")
    return name, int(index)


_NAME = r"[\w-]+"
_WEIGHT = "flip:weight[membrane-to-flux,12].bit3@10"


def _time(text: str, kind: Kind, time: str, *, has_its_own: bool) -> tuple[int, int]:
    """Parse PDE step and phase."""
    matched = re.fullmatch(r"(\d{1,13})(?:\.(\d{1,3}))?", time, re.ASCII)
    if matched is None or int(matched[1]) > _LARGEST:
        raise _error(text, f"@{time} is not a PDE step", kind)
    if matched[2] is not None and (kind in PACKET_KINDS or kind == "stale" or has_its_own):
        raise _error(text, f"{kind} has a fixed time step within the PDE step; write @{matched[1]}", kind)
    return int(matched[1]), int(matched[2] or 0)


def _error(text: str, problem: str, kind: Kind, example: str = "") -> UsageError:
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    return UsageError(f"fault {shown!r}: {problem}; for example {example or EXAMPLES[kind]}")


def wrong_place(fault: Fault, problem: str) -> UsageError:
    """Return the error for a fault with a place that does not exist in the graph or run.

    Parameters
    ----------
    problem : str
        End of the sentence: what is missing.
    """
    return UsageError(f"fault {str(fault)!r}: {problem}")
