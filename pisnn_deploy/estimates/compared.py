"""Comparison of the estimates with a dense-coded run and a float solver, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

COMPARABLE = (
    "Spikes and synaptic operations of the run and of dense coding are counted on the same graph.",
    "Floating-point operations and bytes are for the same stencil, mesh and time step in float64, per PDE step.",
)
NOT_COMPARABLE = (
    "Times and energies of the target are computed from public figures, not measured on a chip; "
    "the seconds of a float solver are measured.",
    "Energies are compared with dense coding only, because no energy of a CPU or GPU is known here.",
    "The target computes with integers of the declared widths, the float solver with float64: their errors differ.",
    "Times of the target exclude host input and output, loading and waiting in the network.",
    "The public figures come from different chips and studies, simulated and fitted: no single chip is at either end.",
)
BINARY = "With binary spikes, dense coding counts every line of a neuron, although a value only sends its set bits."
"""Additional caveat with binary spikes."""


@dataclass(frozen=True)
class Side:
    """Estimates with one coding of the graph.

    Attributes
    ----------
    spikes, synaptic_operations : float
        Number per PDE step.
    energy_low_nj, energy_high_nj : float or None
        Range of the cores' dynamic energy per PDE step, in nanojoules.
    """

    spikes: float
    synaptic_operations: float
    energy_low_nj: float | None
    energy_high_nj: float | None


@dataclass(frozen=True)
class Ratio:
    """Ratios of the run to dense coding; None if they are undefined.

    Attributes
    ----------
    energy_low, energy_high : float or None
        Range of the energy ratio over all figures within their public ranges. Both sides use the same figures, and an
        active neuron uses at least as much energy as an inactive one.
    """

    spikes: float | None
    synaptic_operations: float | None
    energy_low: float | None
    energy_high: float | None


@dataclass(frozen=True)
class FloatSolver:
    """Cost of one PDE step in an explicit float64 solver of the same scheme.

    Attributes
    ----------
    multiplications, additions, comparisons : int
        Operations of the flux networks of all faces (including ghost cells) and of the exchange of fluxes.
    bytes : int
        Memory traffic if each array is read or written once per PDE step.
    seconds : float or None
        Time per PDE step, measured by the user.
    time_ratio_low, time_ratio_high : float or None
        Range of the ratio of the target's estimated time to these seconds.
    """

    multiplications: int
    additions: int
    comparisons: int
    bytes: int
    seconds: float | None = None
    time_ratio_low: float | None = None
    time_ratio_high: float | None = None

    @property
    def operations(self) -> int:
        """Total number of floating-point operations."""
        return self.multiplications + self.additions + self.comparisons


@dataclass(frozen=True)
class Comparison:
    """Comparison of the estimates with a dense-coded run and a float solver.

    Attributes
    ----------
    asked : bool
        Whether a run was counted or a float solver measured; otherwise reports in text omit the comparison.
    source : str
        Origin of the activity of `here`.
    comparable, not_comparable : tuple of str
        Sentences on what can and cannot be compared.
    """

    asked: bool
    source: str
    here: Side
    dense: Side
    ratio: Ratio
    float_solver: FloatSolver
    comparable: tuple[str, ...] = COMPARABLE
    not_comparable: tuple[str, ...] = NOT_COMPARABLE

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        plain = asdict(self)
        del plain["asked"]
        plain["float_solver"]["operations"] = self.float_solver.operations
        return plain | {name: list(plain[name]) for name in ("comparable", "not_comparable")}
