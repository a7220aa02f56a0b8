"""Programs of the limiter: how a cell answers what its faces ask for, and what a face makes of the answers.

A face sends ``low``, a flux that never empties a cell, and asks for the rest ``A = k - low``. A cell adds up what is
asked of it. If that is more than it has, it answers with the part of it that it keeps back, in 256ths; otherwise it is
silent. A face then sends ``low + sign(A) ((|A| (256 - kept back)) >> 8)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.programs.language import MAX_TABLE_ENTRIES, Program, parse

PART_BITS = 8
WHOLE = 1 << PART_BITS
"""A part is a number of 256ths."""
INDEX_BITS = MAX_TABLE_ENTRIES.bit_length() - 1
RECIPROCAL_BITS = 23
HALVINGS = (8, 4, 2, 1)
"""Conditional shifts that bring a sum of up to `ASKED_BITS` bits to an index of the table."""
ASKED_BITS = INDEX_BITS + sum(HALVINGS)
"""What is asked of a cell stays below ``2^26``."""
Upwind = Literal["none", "source", "target", "both"]
"""Masses that the low flux of a face depends on."""


@dataclass(frozen=True)
class FaceLimiter:
    """How a face limits its packets.

    Attributes
    ----------
    upwind : str
        ``low = sign(x) ((|x| weight) >> F)`` plus a constant, where x is the mass of the source, minus that of the
        target, or the first minus the second (``both``); ``none`` for ``low = 0``.
    weight : int
        At least 1 and at most ``2^F``; 0 without a low flux.
    has_ceiling : bool
        Whether cells also refuse what they have no room for.
    """

    upwind: Upwind
    weight: int
    has_ceiling: bool

    @property
    def has_low(self) -> bool:
        """Whether the face sends a low flux."""
        return self.upwind != "none"

    @property
    def ports(self) -> tuple[str, ...]:
        """Ports of the face besides the one for its drive."""
        masses = {"none": (), "source": ("source_mass",), "target": ("target_mass",)}
        return (
            *masses.get(self.upwind, ("source_mass", "target_mass")),
            *("source_short", "target_short"),
            *(("source_full", "target_full") if self.has_ceiling else ()),
        )

    @property
    def parameters(self) -> tuple[str, ...]:
        """Parameters of the face: what a reservoir adds to x, and the constant part of its low flux."""
        return ("beyond", "base") if self.has_low else ()

    def sends(self) -> tuple[str, ...]:
        """Values that a face sends: its packet, then what it tells and asks the cells."""
        return ("packet", *(("low",) if self.has_low else ()), "forward", "backward")

    def lines(self, exponent: int) -> list[str]:
        """Operations from the packet that fired to the one that is sent, with a threshold of ``2^exponent``."""
        moved = {
            "source": "moved = add(source_mass, beyond)",
            "target": "moved = sub(beyond, target_mass)",
            "both": "slope = sub(source_mass, target_mass)\nmoved = add(slope, beyond)",
        }
        low = [
            "moved_size = abs(moved)",
            f"low_size = mul_shr(moved_size, {self.weight}, {exponent})",
            "low_part = copysign(low_size, moved)",
            "low = add(low_part, base)",
            "asked = sub(fired, low)",
        ]
        kept = ("max(source_short, target_full)", "max(target_short, source_full)")
        forward, backward = kept if self.has_ceiling else ("add(source_short, 0)", "add(target_short, 0)")
        return [
            *([moved[self.upwind], *low] if self.has_low else ["asked = add(fired, 0)"]),
            "forward = max(asked, 0)",
            "asked_back = neg(asked)",
            "backward = max(asked_back, 0)",
            f"forward_kept = {forward}",
            f"backward_kept = {backward}",
            "goes_back = lt(asked, 0)",
            "kept_back = select(goes_back, backward_kept, forward_kept)",
            f"passed_part = sub({WHOLE}, kept_back)",
            "asked_size = abs(asked)",
            f"passed_size = mul_shr(asked_size, passed_part, {PART_BITS})",
            "passed = copysign(passed_size, asked)",
            f"packet = add(passed, {'low' if self.has_low else 0})",
        ]


@lru_cache(maxsize=8)
def answer(has_low: bool, has_ceiling: bool) -> Program:
    """Answers of a cell to what its faces ask for.

    ::

        m1 = m + balance                                     balance is the sum of low that enters less what leaves
        short = 256 - ((room R[n]) >> 15)                    if leaving > room = max(m1 - least, 0), else 0
        n, room = (leaving - 1) >> s, room >> s              s brings n below 2048
        R[n] = 2^23 // (n + 1)

    So ``leaving (256 - short) <= 256 (m1 - least)``. With a ceiling, ``full`` is the same for what comes in.

    Parameters
    ----------
    has_low : bool
        Whether faces send a low flux: then there is a port ``balance``.
    has_ceiling : bool
        Whether the cell also answers what comes in: port ``coming``, parameter ``most``, output ``full``.
    """
    ports = ("mass", *(("balance",) if has_low else ()), "leaving", *(("coming",) if has_ceiling else ()))
    parameters = ("least", "most") if has_ceiling else ("least",)
    entries = [min(MAX_RECIPROCAL, (1 << RECIPROCAL_BITS) // (number + 1)) for number in range(1 << INDEX_BITS)]
    return parse(
        "\n".join(
            [
                f"neuron answer({', '.join(ports)}; ; {', '.join(parameters)})",
                f"table reciprocal = {' '.join(map(str, entries))}",
                "held = add(mass, balance)" if has_low else "held = add(mass, 0)",
                "above = sub(held, least)",
                *_part("short", "above", "leaving"),
                *(["below = sub(most, held)", *_part("full", "below", "coming")] if has_ceiling else []),
                f"send short{', full' if has_ceiling else ''}",
            ]
        )
    )


MAX_RECIPROCAL = (1 << RECIPROCAL_BITS) - 1


def _part(name: str, room: str, asked: str) -> list[str]:
    """Operations that compute the part of `asked` that exceeds `room`."""
    number, left = f"{name}_less", f"{name}_room"
    lines = [f"{left} = max({room}, 0)", f"is_{name} = lt({left}, {asked})", f"{number} = sub({asked}, 1)"]
    for bits in HALVINGS:
        lines += [
            f"{name}_big{bits} = ge({number}, {1 << (INDEX_BITS - 1 + bits)})",
            f"{number}{bits} = asr({number}, {bits})",
            f"{name}_index{bits} = select({name}_big{bits}, {number}{bits}, {number})",
            f"{left}{bits} = asr({left}, {bits})",
            f"{name}_left{bits} = select({name}_big{bits}, {left}{bits}, {left})",
        ]
        number, left = f"{name}_index{bits}", f"{name}_left{bits}"
    return [
        *lines,
        f"{name}_most = min({left}, {1 << INDEX_BITS})",
        f"{name}_inverse = table({number}, reciprocal)",
        f"{name}_share = mul_shr({name}_most, {name}_inverse, {RECIPROCAL_BITS - PART_BITS})",
        f"{name}_rest = sub({WHOLE}, {name}_share)",
        f"{name}_part = max({name}_rest, 0)",
        f"{name} = select(is_{name}, {name}_part, 0)",
    ]


def answers(program: Program) -> tuple[bool, bool] | None:
    """Return the arguments for which `answer` makes a program, or None."""
    pair = "balance" in program.ports, "coming" in program.ports
    return pair if program == answer(*pair) else None


def face_limiter(numbers: dict[str, int], ports: tuple[str, ...]) -> FaceLimiter | None:
    """Return the limiter of a face by its ports and the constants of its operations, by result; None without one."""
    if "source_short" not in ports:
        return None
    masses = [port.removesuffix("_mass") for port in ports if port.endswith("_mass")]
    upwind: Upwind = "both" if len(masses) == 2 else "none" if not masses else _named(masses[0])
    return FaceLimiter(upwind, numbers.get("low_size", 0), "source_full" in ports)


def _named(end: str) -> Upwind:
    if end == "source":
        return "source"
    if end == "target":
        return "target"
    raise UsageError(f"a face has no end {end}")
