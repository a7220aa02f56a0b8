"""Small graphs and profiles with one limit moved, for the tests of the rules."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pisnn_deploy.graph import (
    Bound,
    Certificate,
    Claim,
    Flux,
    IntegerGraph,
    Membrane,
    OperatingWindow,
    Placement,
    Quantisation,
    Synapse,
)
from pisnn_deploy.graph.connections import Explicit
from pisnn_deploy.mesh import PERIODIC, structured_mesh
from pisnn_deploy.model import ModelSpec, OperatingRange
from pisnn_deploy.profiles import Profile

BOUNDS = (
    Bound("membrane", "mass", 0, 2**20, 22),
    Bound("membrane", "payload", -100, 100, 16),
    Bound("flux", "drive", -1000, 1000, 20),
    Bound("flux", "current", -1000, 1000, 20),
    Bound("flux", "potential", -1128, 1128, 20),
    Bound("flux", "residue", -128, 128, 10),
    Bound("flux", "packet", -100, 100, 16),
    Bound("drive", "accumulator", -2000, 2000, 22),
    Bound("route", "accumulator", -400, 400, 12),
)


def heat_graph(cells: int = 8, weight: int = 64) -> IntegerGraph:
    """A periodic, linear heat graph in 1D: two synapses at each face and two at each cell."""
    mesh = structured_mesh((cells,), (1.0,), ((PERIODIC, PERIODIC),))
    spec = ModelSpec(
        name="heat1d",
        equation="diffusion",
        diffusivity=0.01,
        problem="heat1d",
        lengths=(1.0,),
        half_width=1,
        weight_exponents=(8,),
        diffusion_number=0.25,
        operating_range=OperatingRange(lower=0.0, upper=2.0),
    )
    faces = np.arange(cells, dtype=np.int64)
    drive = Synapse(
        "drive",
        "membrane",
        "flux",
        Explicit(
            np.arange(0, 2 * cells + 1, 2, dtype=np.int64),
            np.stack([mesh.source, mesh.target], 1).reshape(-1),
            np.tile(np.array([2 * weight, -2 * weight], np.int64), cells),
            cells,
        ),
        -1,
    )
    route = Synapse(
        "route",
        "flux",
        "membrane",
        Explicit(
            np.arange(0, 2 * cells + 1, 2, dtype=np.int64),
            np.stack([np.roll(faces, 1), faces], 1).reshape(-1),
            np.tile(np.array([2, -2], np.int64), cells),
            cells,
        ),
        -1,
    )
    proved = Claim("proved", "incidence", {"faces": cells, "reservoirs": 0})
    return IntegerGraph(
        spec=spec,
        mesh=mesh,
        quantum=2.0**-16,
        time_step=0.01,
        membrane=Membrane(np.full(cells, 1000, np.int64), np.zeros(0, np.int64)),
        hidden=(),
        flux=Flux(np.zeros(cells, np.int64), 8, 4096),
        synapses=(drive, route),
        window=OperatingWindow(0, 2**20, None),
        quantisation=Quantisation(0, None, None),
        coding="delta",
        period=2,
        bounds=BOUNDS,
        certificate=Certificate(proved, proved, proved),
    )


def with_bits(graph: IntegerGraph, population: str, quantity: str, bits: int) -> IntegerGraph:
    """The graph with another width for one quantity."""
    return replace(
        graph,
        bounds=tuple(
            replace(b, bits=bits) if (b.population, b.quantity) == (population, quantity) else b for b in graph.bounds
        ),
    )


def with_mantissas(graph: IntegerGraph, mantissas: list[int]) -> IntegerGraph:
    """The graph with other first mantissas in its synapse population ``drive``."""
    changed = graph.synapses[0].mantissas.copy()
    changed[: len(mantissas)] = mantissas
    return replace(graph, synapses=(graph.synapses[0].with_mantissas(changed), graph.synapses[1]))


def with_exponent(graph: IntegerGraph, exponent: int) -> IntegerGraph:
    """The graph with another exponent in its synapse population ``drive``."""
    return replace(graph, synapses=(replace(graph.synapses[0], exponent=exponent), graph.synapses[1]))


def placed(graph: IntegerGraph, membrane: list[int], flux: list[int], chips: int = 1) -> IntegerGraph:
    """The graph with the given core numbers."""
    core = {"membrane": np.array(membrane, np.int64), "flux": np.array(flux, np.int64)}
    chip = np.minimum(np.arange(max(*membrane, *flux) + 1, dtype=np.int64) // 120, chips - 1)
    return replace(graph, placement=Placement(core, len({*membrane, *flux}), chips, chip, "index"))


def with_claims(graph: IntegerGraph, **status: Claim) -> IntegerGraph:
    """The graph with other claims in its certificate."""
    assert graph.certificate is not None
    return replace(graph, certificate=replace(graph.certificate, **status))


def with_ledger_steps(graph: IntegerGraph, steps: int) -> IntegerGraph:
    """The graph with another claim of how long its ledgers last."""
    assert graph.certificate is not None
    claim = graph.certificate.conservation
    return with_claims(graph, conservation=replace(claim, figures={**claim.figures, "ledger_steps": steps}))


def with_start(graph: IntegerGraph, mass: int, difference: int | None = None) -> IntegerGraph:
    """The graph with this mass in cell 3 and none in the others, and a limit of the differences of neighbours."""
    initial = np.zeros_like(graph.membrane.initial)
    initial[3] = mass
    window = replace(graph.window, difference=difference)
    return replace(graph, membrane=replace(graph.membrane, initial=initial), window=window)


def with_figure(profile: Profile, key: str, value: object, **others: object) -> Profile:
    """The profile with one figure changed, e.g. ``core.neurons_max``; its range becomes the value alone."""
    section, name = key.split(".")
    old = getattr(profile, section)
    figure = getattr(old, name)
    changed = figure.model_copy(update={"value": value, "low": None, "high": None, **others})
    return profile.model_copy(update={section: old.model_copy(update={name: changed})})
