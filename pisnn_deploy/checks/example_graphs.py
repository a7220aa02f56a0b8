"""Small graphs and profiles with one property changed, for the examples of the rules."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph import (
    Bound,
    Certificate,
    Claim,
    IntegerGraph,
    OperatingWindow,
    Placement,
    Quantisation,
    Synapse,
    kinds,
)
from pisnn_deploy.graph.connections import Explicit
from pisnn_deploy.graph.fields import Field, equal_volumes
from pisnn_deploy.graph.integer import FIELD, MEMBRANE
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.mesh import PERIODIC, structured_mesh
from pisnn_deploy.physics.model import ModelSpec, OperatingRange
from pisnn_deploy.programs import parse
from pisnn_deploy.programs.neurons import FaceConstants
from pisnn_deploy.target import Board, Profile

AnyTarget = TypeVar("AnyTarget", Profile, Board)

CELLS = 8
"""Number of cells of the examples, and of faces, because the line is periodic."""

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
LEVEL_BOUNDS = (
    Bound("level", "arrival", 0, 2**20, 22),
    Bound("level", "near", 0, 8, 5),
    Bound("level", "level", 0, 64, 8),
    Bound("level", "payload", -64, 64, 8),
    Bound("level", "accumulator", 0, 2**21, 23),
)


def heat_graph(cells: int = CELLS, weight: int = 64) -> IntegerGraph:
    """Build a periodic, linear heat graph in 1D, with two synapses at each face and at each cell."""
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
    drive = Synapse("drive", "membrane", "flux", _pairs(mesh.source, mesh.target, 2 * weight), -1)
    route = Synapse("route", "flux", "membrane", _pairs(np.roll(faces, 1), faces, 2), -1)
    proved = Claim("proved", "incidence", {"faces": cells, "reservoirs": 0})
    window = OperatingWindow(0, 2**20, None)
    field = Field(FIELD, MEMBRANE, 2.0**-16, window, equal_volumes(cells), mesh.volume)
    return IntegerGraph(
        spec=spec,
        mesh=mesh,
        time_step=0.01,
        populations=(
            kinds.holders(field, np.full(cells, 1000, np.int64)),
            kinds.faces(mesh, FaceConstants(8)),
        ),
        fields=(field,),
        channels=(kinds.face_channels(mesh),),
        synapses=(drive, route),
        quantisation=Quantisation(0, None, None),
        coding="delta",
        period=2,
        bounds=BOUNDS,
        certificate=Certificate(proved, proved, proved),
    )


def _pairs(plus: NDArray[np.int64], minus: NDArray[np.int64], weight: int) -> Explicit:
    """Build rows of two connections with weights of opposite sign; columns ascend within a row."""
    columns = np.stack([plus, minus], 1)
    order = np.argsort(columns, axis=1)
    mantissas = np.where(order == 0, weight, -weight)
    starts = np.arange(0, 2 * plus.size + 1, 2, dtype=np.int64)
    return Explicit(starts, np.take_along_axis(columns, order, 1).reshape(-1), mantissas.reshape(-1), plus.size)


def with_bits(graph: IntegerGraph, population: str, quantity: str, bits: int) -> IntegerGraph:
    """Return the graph with another declared width of a quantity."""
    return replace(
        graph,
        bounds=tuple(
            replace(b, bits=bits) if (b.population, b.quantity) == (population, quantity) else b for b in graph.bounds
        ),
    )


def with_mantissas(graph: IntegerGraph, mantissas: list[int]) -> IntegerGraph:
    """Return the graph with other first mantissas in the synapse population ``drive``."""
    changed = graph.synapses[0].mantissas.copy()
    changed[: len(mantissas)] = mantissas
    return replace(graph, synapses=(graph.synapses[0].with_mantissas(changed), graph.synapses[1]))


def with_exponent(graph: IntegerGraph, exponent: int) -> IntegerGraph:
    """Return the graph with another exponent of the synapse population ``drive``."""
    return replace(graph, synapses=(replace(graph.synapses[0], exponent=exponent), graph.synapses[1]))


def with_level(graph: IntegerGraph, *lines: str) -> IntegerGraph:
    """Return the graph with a level for each cell between cells and faces, computed by the given lines of a program."""
    drive, route = graph.synapses
    each = np.arange(graph.mesh.cells, dtype=np.int64)
    ones = Explicit(np.arange(each.size + 1, dtype=np.int64), each, np.full(each.size, 2, np.int64), each.size)
    text = "\n".join(("neuron level(arrival; ; )", *lines[:-1], "near = asr(arrival, 17)", lines[-1], "send level"))
    level = Population("level", each.size, parse(text))
    cells, faces = graph.populations
    return replace(
        graph,
        populations=(cells, level, faces),
        synapses=(Synapse("level", "membrane", "level", ones, -1), replace(drive, source="level"), route),
        bounds=(*graph.bounds, *LEVEL_BOUNDS),
        period=3,
    )


def placed(graph: IntegerGraph, membrane: list[int], flux: list[int], chips: int = 1) -> IntegerGraph:
    """Return the graph with a placement on the given core numbers."""
    core = {"membrane": np.array(membrane, np.int64), "flux": np.array(flux, np.int64)}
    chip = np.minimum(np.arange(max(*membrane, *flux) + 1, dtype=np.int64) // 120, chips - 1)
    return replace(graph, placement=Placement(core, len({*membrane, *flux}), chips, chip, "index"))


def with_claims(graph: IntegerGraph, **status: Claim) -> IntegerGraph:
    """Return the graph with other claims in its certificate."""
    assert graph.certificate is not None
    return replace(graph, certificate=replace(graph.certificate, **status))


def with_ledger_steps(graph: IntegerGraph, steps: int) -> IntegerGraph:
    """Return the graph with another claim on how many PDE steps its ledgers last."""
    assert graph.certificate is not None
    claim = graph.certificate.conservation
    return with_claims(graph, conservation=replace(claim, figures={**claim.figures, "ledger_steps": steps}))


def with_start(graph: IntegerGraph, mass: int, difference: int | None = None) -> IntegerGraph:
    """Return the graph with all mass in cell 3, and a limit on differences between neighbours."""
    initial = np.zeros_like(graph.initial)
    initial[3] = mass
    return kinds.starting_from(graph, initial).with_field(window=replace(graph.window, difference=difference))


def with_figure(profile: AnyTarget, key: str, value: object, **others: object) -> AnyTarget:
    """Return the profile with another value of a figure such as ``core.neurons_max``, without a range."""
    section, name = key.split(".")
    old = getattr(profile, section)
    figure = getattr(old, name)
    changed = figure.model_copy(update={"value": value, "low": None, "high": None, **others})
    return profile.model_copy(update={section: old.model_copy(update={name: changed})})
