"""Options of a compilation: properties of the graph, and what to compile for."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Literal, TypedDict, get_args, get_origin, get_type_hints

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.integer import Coding
from pisnn_deploy.physics.model import OperatingRange
from pisnn_deploy.target import Profile

if TYPE_CHECKING:
    from pisnn_deploy.compiler.passes.lower import Lower
    from pisnn_deploy.compiler.passes.lower_two_point import LowerTwoPoint

Limiter = Literal["none", "positivity", "bounds"]
"""Choices of a limiter for the packets of a face."""
SpikeKind = Literal["auto", "graded", "binary"]
"""Choices of what a spike carries; ``auto`` is what the target has."""
ProcessKind = Literal["c-lif", "stock"]
"""Choices of processes: this project's, or Lava's own."""
KernelChoice = Literal["near", "any", "long"]
"""Choices of the integer kernels of a linear flux network."""
CodingChoice = Literal["auto", "delta", "dense"]
"""What cells send, or ``auto``: ``delta``, but ``dense`` for a law whose changes need more bits than payloads have."""
ResidueUse = Literal["unseen", "seen", "auto"]
"""Choices of whether faces see the residues of faces near them."""
PlacementMethod = Literal["auto", "blocks", "metis", "index", "none"]
"""Methods of placing cells on cores."""
Digits = Literal["auto", "one", "many"]
"""Choices of the digits of the weights of faces between cells that differ."""
LARGEST_SEND_THRESHOLD = 1 << 20


class GraphKeywords(TypedDict, total=False):
    """The fields of `GraphOptions` as keywords."""

    coding: CodingChoice
    spikes: SpikeKind
    processes: ProcessKind
    send_threshold: int | None
    limiter: Limiter
    kernels: KernelChoice
    residues: ResidueUse
    floor: float | None
    ceiling: float | None
    placement: PlacementMethod
    digits: Digits


@dataclass(frozen=True)
class GraphOptions:
    """Options for a graph that do not depend on model and mesh.

    Attributes
    ----------
    coding : str
        ``delta``, ``dense``, or ``auto``: ``delta``, but ``dense`` for a law whose changes of values need more bits
        than the target's payloads have.
    spikes : str
        ``graded`` or ``binary``; ``auto`` is what the profile has.
    processes : str
        ``c-lif``, or ``stock`` for Lava's own processes; the latter send states, whatever `coding` says.
    send_threshold : int or None
        A stock face keeps fewer quanta than this in its residue (default: 1).
    limiter : str
        ``none``; ``positivity`` for a floor, below which no cell falls; ``bounds`` for a floor and a ceiling.
    floor, ceiling : float or None
        Values of the limiter's limits. Without, the floor of ``positivity`` is 0, and those of ``bounds`` are the ends
        of the operating range, within which both lie.
    kernels : str
        ``near`` the trained weights, or ``any`` kernel with the symmetry and the moments of the equation, if it is
        measured to be more accurate; then its own time step counts. ``long``: of these, those with a time step at least
        a third longer (linear flux networks only).
    residues : str
        Whether faces see the residues of the faces near them, so that what has not fired moves on as well: ``seen`` or
        ``unseen``; ``auto`` sees them where that halves the error (linear flux networks only).
    placement : str
        How cells are placed on cores: ``auto``, ``blocks``, ``metis``, ``index`` or ``none``.
    digits : str
        Where cells differ, whether the weights of faces have ``one`` digit or ``many``, which takes further populations
        and time steps; ``auto`` takes many where one costs accuracy. Multi-point fluxes always have many.

    Raises
    ------
    UsageError
        A choice does not exist, or choices exclude each other; the message names the field.
    """

    coding: CodingChoice = "auto"
    spikes: SpikeKind = "auto"
    processes: ProcessKind = "c-lif"
    send_threshold: int | None = None
    limiter: Limiter = "none"
    kernels: KernelChoice = "near"
    residues: ResidueUse = "unseen"
    floor: float | None = None
    ceiling: float | None = None
    placement: PlacementMethod = "auto"
    digits: Digits = "auto"

    def __post_init__(self) -> None:
        kinds = get_type_hints(type(self))
        for field in fields(self):
            choices, value = get_args(kinds[field.name]), getattr(self, field.name)
            if get_origin(kinds[field.name]) is Literal and value not in choices:
                raise UsageError(f"`{field.name}` {value!r}: expected one of {', '.join(choices)}")
        threshold = self.send_threshold
        if threshold is not None and self.processes != "stock":
            raise UsageError("`send_threshold`: needs `processes` stock")
        if threshold is not None and not (type(threshold) is int and 1 <= threshold <= LARGEST_SEND_THRESHOLD):
            raise UsageError(f"`send_threshold` {threshold!r}: expected quanta from 1 to {LARGEST_SEND_THRESHOLD}")
        if self.processes == "stock" and self.limiter != "none":
            raise UsageError("`processes` stock: SigmaDelta cannot limit what it sends; use c-lif")
        if self.residues == "seen" and self.processes == "stock":
            raise UsageError("`residues` seen: SigmaDelta hears no residues; use `processes` c-lif")
        if self.residues == "seen" and self.limiter != "none":
            raise UsageError("`residues` seen: a limiter drops what it withholds, so residues are not the whole rest")
        self._require_limits()

    def _require_limits(self) -> None:
        """Refuse limits without the limiter that has them."""
        for name, limit, limiters in (
            ("floor", self.floor, ("positivity", "bounds")),
            ("ceiling", self.ceiling, ("bounds",)),
        ):
            if limit is not None and self.limiter not in limiters:
                raise UsageError(f"`{name}`: needs `limiter` {' or '.join(limiters)}")
            if limit is not None and not math.isfinite(limit):
                raise UsageError(f"`{name}` {limit!r}: expected a finite number")
        if self.floor is not None and self.ceiling is not None and self.floor >= self.ceiling:
            raise UsageError(f"`floor` {self.floor:g}: expected less than the ceiling, {self.ceiling:g}")

    @property
    def first_coding(self) -> Coding:
        """Coding that is tried first."""
        return "delta" if self.coding == "auto" else self.coding


PLAIN = GraphOptions()
"""Default options."""


@dataclass(frozen=True)
class CompileOptions:
    """Options of a compilation.

    Attributes
    ----------
    lower : Lower or LowerTwoPoint or None
        The mesh with its boundary, and the materials of cells that differ; None for graphs that no model is lowered to.
    profile : Profile
        The target.
    operating_range : OperatingRange or None
        Replaces the model's own.
    search : bool
        Whether to search for better integers than the nearest.
    quantum_bits : int or None
        State width for which the quantum is chosen, if it is to be coarser than the target allows.
    """

    lower: Lower | LowerTwoPoint | None
    profile: Profile
    graph: GraphOptions = PLAIN
    operating_range: OperatingRange | None = None
    search: bool = True
    quantum_bits: int | None = None

    @property
    def has_binary_spikes(self) -> bool:
        """Whether spikes are binary, carrying no payload."""
        graded = self.profile.payload.graded.value
        return self.graph.spikes == "binary" or (self.graph.spikes == "auto" and not graded)

    @property
    def has_many_digits(self) -> bool:
        """Whether cells differ, and the weights of faces have as many digits as they need."""
        choices = () if self.lower is None else self.lower.digits
        return choices == ("many",) or (self.graph.digits == "many" and "many" in choices)

    @property
    def widths(self) -> Widths:
        """Widths to compile for.

        Lava's simulator sums in int32, whatever the target. Payloads of a target without graded spikes are limited by
        its weights (pass `encode`).
        """
        profile = self.profile
        return Widths(
            state=profile.state.bits.value,
            payload=profile.payload.bits.value or _GRADED_PAYLOAD_BITS,
            accumulator=min(profile.accumulator.bits.value or _SIMULATOR_BITS, _SIMULATOR_BITS),
        )

    @property
    def one_bit_wider(self) -> CompileOptions:
        """The same for a target whose states, payloads and accumulators have one bit more."""
        changes = {}
        for part in ("state", "payload", "accumulator"):
            section = getattr(self.profile, part)
            if section.bits.value:  # 0 stands for binary spikes, None for a target without such a limit
                bits = section.bits.model_copy(update={"value": section.bits.value + 1})
                changes[part] = section.model_copy(update={"bits": bits})
        return replace(self, profile=self.profile.model_copy(update=changes))

    @property
    def state_bits(self) -> int:
        """State width for which the quantum is chosen."""
        return self.widths.state if self.quantum_bits is None else self.quantum_bits


_GRADED_PAYLOAD_BITS = 24
_SIMULATOR_BITS = 32


@dataclass(frozen=True)
class Widths:
    """Signed widths of a target.

    Attributes
    ----------
    state, payload, accumulator : int
        In bits.
    """

    state: int
    payload: int
    accumulator: int
