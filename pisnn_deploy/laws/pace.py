"""How long a time step may be on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pisnn_deploy.laws.speeds import Speeds

COURANT = 0.5
"""Share of the longest stable step of the explicit schemes, unless a recipe gives another."""


@dataclass(frozen=True)
class Pace:
    """Rates of a law on a grid, per time; the step times their sum is at most the Courant number of the recipe.

    Attributes
    ----------
    waves : float
        Sum over the axes of largest speed over cell width.
    diffusion : float
        Half the largest decay rate of a mode of the grid.
    reactions : float
        Half the largest slope of sources and exchanges.
    sides : float
        Largest coefficient of a side that gives a flux by the difference to a value, over cell width.
    """

    waves: float
    diffusion: float
    reactions: float
    sides: float = 0.0

    @property
    def total(self) -> float:
        """Sum of the rates."""
        return self.waves + self.diffusion + self.reactions + self.sides

    @property
    def limit(self) -> str:
        """What limits the time step most."""
        rates = {"waves": self.waves, "diffusion": self.diffusion, "reactions": self.reactions, "sides": self.sides}
        return max(rates, key=lambda name: rates[name])


def pace(speeds: Speeds, spacing: Sequence[float], coefficients: Sequence[float] = ()) -> Pace:
    """Rates on a grid.

    Parameters
    ----------
    spacing : sequence of float
        Cell width along each axis.
    coefficients : sequence of float
        For each axis, the largest coefficient of a side, see `LawSpec.side_coefficients`; all 0 by default.
    """
    sides = max((value / width for value, width in zip(coefficients, spacing, strict=False)), default=0.0)
    waves = sum(speed / width for speed, width in zip(speeds.fastest, spacing, strict=True))
    steepest = sum(4.0 / width**2 for width in spacing)
    names = {*speeds.diffusivities, *speeds.fourth}
    decays = [_largest(speeds, name, steepest) * steepest / 2 for name in sorted(names)]
    return Pace(waves, max(decays, default=0.0), max(speeds.stiffness.values(), default=0.0) / 2, sides)


def _largest(speeds: Speeds, name: str, steepest: float) -> float:
    """Largest diffusivity that the steepest mode of the grid feels."""
    second = speeds.diffusivities[name].largest if name in speeds.diffusivities else 0.0
    return second + speeds.fourth.get(name, 0.0) * steepest
