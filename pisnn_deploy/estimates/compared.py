"""The estimates beside a dense-coded run and a float solver, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

COMPARABLE = (
    "Spikes and synaptic operations of the run and of dense coding: both are counted on the same graph.",
    "Floating-point operations and bytes: the same stencil, mesh and time step in float64, so one PDE step is one.",
)
NOT_COMPARABLE = (
    "Times and energies of the target are computed from public figures and measured on no chip; "
    "the seconds of a float solver are measured.",
    "No energy of a CPU or GPU is measured or given here, so energies compare with dense coding alone.",
    "The target computes with integers of the declared widths, the float solver with float64: their errors differ.",
    "Host input and output, loading and waiting in the network are in no time of the target.",
    "The public figures come from different chips and studies, simulated and fitted, so no chip has all of one end.",
)
BINARY = "Dense coding counts every line of a neuron; of binary spikes a value sends only its bits, so it is the most."
"""Is not comparable either, where spikes are binary."""


@dataclass(frozen=True)
class Side:
    """One coding of the graph.

    Attributes
    ----------
    spikes, synaptic_operations : float
        Of a PDE step.
    energy_low_nj, energy_high_nj : float or None
        Range of the cores' dynamic energy.
    """

    spikes: float
    synaptic_operations: float
    energy_low_nj: float | None
    energy_high_nj: float | None


@dataclass(frozen=True)
class Ratio:
    """Parts of dense coding that the run takes; None where there is nothing to divide.

    Attributes
    ----------
    spikes, synaptic_operations : float or None
    energy_low, energy_high : float or None
        Range over all figures within their public ranges, the same figures on both sides, where a neuron that sends
        takes at least what one takes that does not.
    """

    spikes: float | None
    synaptic_operations: float | None
    energy_low: float | None
    energy_high: float | None


@dataclass(frozen=True)
class FloatSolver:
    """An explicit float64 solver of the same scheme, one PDE step.

    Attributes
    ----------
    multiplications, additions, comparisons : int
        What the flux network of every face (ghost cells included) and the exchange of fluxes take.
    bytes : int
        Moved if each array is read or written once in a PDE step and nothing else is.
    seconds : float or None
        Per PDE step, measured by the user.
    time_ratio_low, time_ratio_high : float or None
        The target's estimated time as parts of these seconds.
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
        """Floating-point operations."""
        return self.multiplications + self.additions + self.comparisons


@dataclass(frozen=True)
class Comparison:
    """The estimates beside a dense-coded run and a float solver.

    Attributes
    ----------
    asked : bool
        Whether a run was counted or a float solver measured; without them reports in text leave it out.
    source : str
        Where the activity of `here` comes from.
    here, dense : Side
    ratio : Ratio
    float_solver : FloatSolver
    comparable, not_comparable : tuple of str
        A sentence each.
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
        """Plain lists, dicts, numbers and strings."""
        plain = asdict(self)
        del plain["asked"]
        plain["float_solver"]["operations"] = self.float_solver.operations
        return plain | {name: list(plain[name]) for name in ("comparable", "not_comparable")}
