"""The certificate: what was proved of a graph, by which method and with which figures.

Claims hold figures, so that a checker can prove them again; sentences for people are made from them here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from pisnn_deploy.graph.stored import Integer64, Stored
from pisnn_deploy.physics.model import FiniteFloat

Status = Literal["proved", "assumed", "none"]
Method = Literal[
    "incidence",
    "operating-window",
    "invariant-range",
    "maximum-principle",
    "fourier",
    "axis-eigenvalues",
    "growth",
    "nonlinear",
    "too-many-kinks",
    "too-large",
    "floor",
    "floor-and-ceiling",
    "floors",
    "limited-range",
    "between-limits",
    "constant-sum",
    "limited",
    "moments",
    "states",
    "conductances",
    "multi-point",
    "energy",
    "several-values",
    "other-law",
    "unknown-program",
    "joined-holders",
    "operating-windows",
    "no-theorem",
    "constant-states",
    "trained-states",
]
Figure = int | float
FigureName = Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,63}$")]

_SENTENCES: dict[Method, str] = {
    "incidence": "the stored route of each of the {faces} faces is the mesh's incidence: -1 and +1, sum zero",
    "operating-window": "all {bounds} widths hold while masses stay in {lower} to {upper}",
    "invariant-range": "all {bounds} widths hold for ever from any start with masses in {start_lower} to {start_upper}",
    "maximum-principle": "discrete maximum principle: no entry of the integer update is negative and its rows sum to "
    "theta",
    "fourier": "all amplification factors lie in the unit disc, the largest is {modulus:.9g}",
    "axis-eigenvalues": "all amplification factors lie in the unit disc, the largest is {modulus:.9g}",
    "growth": "an amplification factor has modulus {modulus:.6g}, so some modes grow",
    "nonlinear": "the flux network is not linear",
    "too-many-kinks": "the flux network has too many kinks to examine",
    "too-large": "the mesh is too large for its amplification factors",
    "floor": "a cell grants at most what it has above {floor} quanta per volume, and the low flux never takes more, so "
    "no cell ever holds less if none does at the start",
    "floor-and-ceiling": "a cell grants at most what it has above {floor} quanta per volume and takes at most what it "
    "lacks to {ceiling}, and the low flux never moves more, so every cell stays between them if all start there",
    "floors": "no cell ever holds less than {floor} quanta of {fields} of the fields if none does at the start: it "
    "grants at most what it holds, and nothing else takes from it",
    "limited-range": "all {bounds} widths hold for ever from any start with masses in {lower} to {upper}: the limiter "
    "keeps every cell there",
    "between-limits": "every cell stays between the limits of the limiter, from any start between them",
    "constant-sum": "masses stay above a floor and their sum never changes, so from any such start no cell ever "
    "holds more than the whole mass above the floors",
    "limited": "the limiter makes the update nonlinear",
    "moments": "the integer weights have {coefficients}",
    "states": "between constant states the integer flux differs by what the law says, to {flux_error:.2%} of the "
    "largest flux in the operating range, and slopes of {gentlest_slope:.4g} to {steepest_slope:.4g} on top of "
    "{states} such states meet {coefficients}",
    "conductances": "integer conductances follow from geometry and materials, "
    "{conductance_error:.2%} off at most, and so is each capacity, {capacity_error:.2%} off at most",
    "multi-point": "integer weights of up to {most_values} values at a face are those of the multi-point flux, which "
    "is exact for linear fields at any angle and across materials, {coefficient_error:.2%} of a face's largest off at "
    "most, and each capacity is {capacity_error:.2%} off at most; lines between centres are up to {largest_angle:.3g} "
    "degrees off the normals of faces, {mean_angle:.3g} on average",
    "energy": "no PDE step increases the sum of the squares of all values, each times its volume, up to the rounding "
    "of packets: none of the {points} points of the mesh adds to it",
    "several-values": "a flux of more than two values has no maximum principle, and around some point rounded weights "
    "may increase the energy of a field",
    "other-law": "the integers solve a different law from the model's: {coefficients}",
    "unknown-program": "not claimed: no theorem covers the programs of the faces, or of the neurons before them",
    "joined-holders": "as the target stores them, the packets of all {channels} channels leave one holder and enter "
    "another, so the mass of each of {sets} joined sets of holders is constant",
    "operating-windows": "all {bounds} widths hold while the masses of all {fields} fields stay in their operating "
    "windows; every run checks this at every PDE step and stops at the first value outside",
    "constant-states": "at {states} constant states the packets of all {terms} fluxes, sources and exchanges are those "
    "of the law, {flux_error:.2%} of the largest off at most",
    "trained-states": "at {states} constant states the packets of all {terms} trained fluxes, sources and exchanges "
    "were measured to be {flux_error:.2%} of the largest off those of the law at most",
    "no-theorem": "not claimed: no theorem covers graphs of a law",
}
LARGEST_DEVIATION = 0.05
"""Largest relative error of a coefficient with which the integers still count as the model's law."""
_COEFFICIENTS = (
    ("velocity", "velocity"),
    ("diffusivity", "diffusivity"),
    ("wave_speed", "wave speed"),
    ("damping", "damping"),
    ("courant", "Courant number of a field at rest"),
)


@dataclass(frozen=True)
class Claim(Stored):
    """One statement of the certificate.

    Attributes
    ----------
    status : str
        ``proved``, ``assumed`` (holds while the operating range does, which every run checks) or ``none``.
    method : str
        How it was proved, or why it was not; docs/reference/artifact.md lists the methods.
    figures : dict of str to int or float
        Figures of the statement; the method says which.
    """

    status: Status
    method: Method
    figures: Annotated[Mapping[FigureName, Integer64 | FiniteFloat], Field(max_length=64)] = field(default_factory=dict)

    @property
    def details(self) -> str:
        """The statement as a sentence."""
        figures = _Named(self.figures)
        if self.method in ("moments", "states", "other-law"):
            figures["coefficients"] = self.coefficients
        text = _SENTENCES[self.method].format_map(figures)
        if self.method in ("incidence", "joined-holders") and self.figures.get("reservoirs"):
            text += f"; the ledgers of {figures['reservoirs']} reservoirs cannot wrap"
            text += f" within {figures['ledger_steps']} steps"
        if self.method == "operating-window":
            if "difference" in figures:
                text += f", differ by at most {figures['difference']} across a face"
            if "current" in figures:
                text += f", and currents by no more than {figures['current']} from 0"
            text += "; every run checks this at every PDE step and stops at the first value outside"
        if self.method == "invariant-range":
            if "start_difference" in figures:
                text += f" that differ by at most {figures['start_difference']} across a face"
            text += ": the maximum principle keeps the field in its range,"
            text += f" and rounding moves a cell by {figures['drift']} quanta at most"
        if self.method == "conductances" and "largest_angle" in figures:
            text += (
                "; two points give the law's flux where lines between centres are normal to faces, here they are up to "
                f"{figures['largest_angle']:.3g} degrees off, {figures['mean_angle']:.3g} on average"
            )
        if self.method in ("constant-states", "trained-states"):
            if "gradients" in self.figures:
                text += f", and so are {self.figures['gradients']} diffusive fluxes at constant gradients, "
                text += f"{self.figures.get('gradient_error', math.nan):.2%} off at most"
            if "velocity" in self.figures:
                text += f"; with slopes they have {self.coefficients}"
            if self.method == "trained-states":
                text += "; other states, differences in space, and the sides, are not covered"
            else:
                text += "; other differences in space, and the sides, are not covered"
        if self.method == "maximum-principle" and self.figures.get("reservoirs"):
            text += ", including what reservoirs add"
        if self.method == "states" and "drift" in self.figures:
            text += f"; at sides that are not periodic it accumulates at most {self.figures['drift']:.2%} of that range"
        if "limited" in self.figures:
            text += "; this holds where the limiter withholds nothing"
        return text

    @property
    def coefficients(self) -> str:
        """Each coefficient of the integers, with the model's or law's for comparison; empty if there is none."""
        parts = []
        for key, name in _COEFFICIENTS:
            wanted = self.figures.get(f"wanted_{key}")
            if wanted is None:
                continue
            if key in self.figures:
                has = f"{self.figures[key]:.6g}"
            else:
                has = f"{self.figures.get(f'{key}_lower', math.nan):.6g} to "
                has += f"{self.figures.get(f'{key}_upper', math.nan):.6g}"
            parts.append(f"{name} {has} (model: {wanted:.6g})")
        if self.method == "other-law" and "flux_error" in self.figures:
            parts.append(f"fluxes of constant states {self.figures['flux_error']:.2%} off")
        if self.method == "other-law" and self.figures.get("drift"):
            parts.append(
                f"a constant flux accumulates {100 * self.figures['drift']:.3g}% of the operating range at walls"
            )
        if "coefficient_error" in self.figures:
            parts.append(f"weights of multi-point fluxes {self.figures['coefficient_error']:.2%} off")
        if "conductance_error" in self.figures:
            parts.append(f"conductances {self.figures['conductance_error']:.2%} off")
            parts.append(f"capacities {self.figures.get('capacity_error', math.nan):.2%} off")
        if "axes_error" in self.figures:
            parts.append(f"axes in the model's proportion to {self.figures['axes_error']:.2%}")
        if "across" in self.figures:
            parts.append(f"slopes across a face move {self.figures['across']:.2%} of what slopes along it move")
        return ", ".join(parts)


class _Named(dict[str, "Figure | str"]):
    """Figures by name; one that is missing shows as a question mark."""

    def __init__(self, figures: Mapping[str, Figure]) -> None:
        super().__init__(figures)

    def __missing__(self, key: str) -> float:
        return float("nan")


@dataclass(frozen=True)
class Certificate(Stored):
    """What the compiler proved about the graph.

    Attributes
    ----------
    positivity : Claim or None
        Only for a graph with a limiter.
    equation : Claim or None
        Equation that the integers solve, in physical units; every compiled graph has it.
    """

    conservation: Claim
    overflow: Claim
    stability: Claim
    positivity: Claim | None = None
    equation: Claim | None = None

    @property
    def claims(self) -> dict[str, Claim]:
        """The claims that are made, by name."""
        return {name: claim for name, claim in vars(self).items() if claim is not None}
