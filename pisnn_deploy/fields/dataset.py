"""A run as a dataset of xarray: names, coordinates and units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pisnn_deploy.fields.content import about
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.contract import is_of_one_field
from pisnn_deploy.graph.places import centres_of
from pisnn_deploy.mesh.boundary import AXES

if TYPE_CHECKING:
    import xarray

    from pisnn_deploy.runs import Run

QUANTA = {"units": "quanta"}


def has_units(graph: IntegerGraph) -> bool:
    """Whether a graph is of a law that states units, so that its times are in seconds and its lengths in metres."""
    return graph.spec.equation == "law" and bool(graph.spec.parsed().units)


def dataset_of(graph: IntegerGraph, run: Run, digest: str = "") -> xarray.Dataset:
    """The trace of a run as a dataset, see `SimulationRun.to_xarray`.

    Parameters
    ----------
    digest : str
        Hash of the artifact; empty if unknown.
    """
    import xarray

    attributes: dict[str, Any] = {"model": graph.spec.name, "backend": run.backend, "verdict": run.verdict.word}
    if digest:
        attributes["artifact"] = digest
    coordinates = _coordinates(graph, run)
    probes = _probes(run, coordinates)
    if not is_of_one_field(graph):
        return xarray.Dataset(_variables_of_law(graph, run, coordinates) | probes, coordinates, attributes)
    attributes |= {
        "quantum": graph.quantum,
        "value_per_quantum": graph.value_per_quantum,
        "resolution": graph.resolution,
    }
    return xarray.Dataset(_variables(graph, run) | probes, coordinates, attributes)


def _coordinates(graph: IntegerGraph, run: Run) -> dict[str, Any]:
    """Time and step of each row, and centres: along each axis of a grid, else of each cell."""
    seconds, metres = ({"units": "s"}, {"units": "m"}) if has_units(graph) else ({}, {})
    times = np.asarray(run.trace.step * graph.time_step, np.float64)
    coordinates: dict[str, Any] = {
        "time": ("time", times, {"long_name": "physical time", **seconds}),
        "step": ("time", run.trace.step, {"long_name": "PDE step"}),
    }
    centres = centres_of(graph)
    for number, name in enumerate(AXES[: centres.shape[1]]):
        described = {"long_name": f"cell centre along {name}", **metres}
        if graph.mesh.grid is None:
            coordinates[name] = ("cell", centres[:, number], described)
        else:
            along = np.moveaxis(centres[:, number].reshape(graph.mesh.shape), number, -1)
            coordinates[name] = (name, along.reshape(-1, along.shape[-1])[0], described)
    return coordinates


def _probes(run: Run, coordinates: dict[str, Any]) -> dict[str, Any]:
    """Variables of the probed neurons; adds their numbers to the coordinates."""
    variables: dict[str, Any] = {}
    for probed in run.trace.probes:
        population = probed.probe.population
        axis = f"probe.{population}.neurons"
        coordinates[axis] = (axis, probed.probe.neurons, {"long_name": f"neuron of {population}"})
        for name, rows in probed.values.items():
            variables[f"probe.{population}.{name}"] = ("time", axis), rows, QUANTA if name == "mass" else {}
    return variables


def _variables(graph: IntegerGraph, run: Run) -> dict[str, Any]:
    trace, over_cells, shape = run.trace, ("time", *graph.mesh.axes), (-1, *graph.shape)
    (columns,) = about(graph, "")["columns"].values()
    unit = {"units": columns["unit"]} if columns["unit"] else {}
    described = {"long_name": "cell average", "value_per_quantum": columns["value_per_quantum"], **unit}
    variables: dict[str, Any] = {
        "value": (over_cells, graph.values(trace.mass).reshape(shape), described),
        "mass": (over_cells, trace.mass.reshape(shape), QUANTA),
        "transported": (("time", "face"), trace.transported, QUANTA),
    }
    if graph.mesh.reservoirs:
        variables["ledger"] = (("time", "reservoir"), trace.ledger, QUANTA)
    return variables


def _variables_of_law(graph: IntegerGraph, run: Run, coordinates: dict[str, Any]) -> dict[str, Any]:
    """Variables of the fields and channels of a law; adds the names of ledgers to the coordinates."""
    trace, variables = run.trace, dict[str, Any]()
    over_cells, shape = ("time", *graph.mesh.axes), (-1, *graph.mesh.shape)
    for part in trace.columns.fields:
        name, mass = part.name, trace.mass[:, part.cells]
        units = {"units": part.field.unit} if part.field.unit else {}
        own = {"long_name": "cell average", "value_per_quantum": part.field.value_per_quantum, **units}
        variables[name] = over_cells, part.field.values(mass).reshape(shape), own
        variables[f"{name}_mass"] = over_cells, mass.reshape(shape), QUANTA
        if part.ledgers:
            axis, names = f"{name}_reservoir", np.empty(part.field.reservoirs.size, object)
            for ledger, reservoirs in part.ledgers.items():
                names[reservoirs] = ledger
            coordinates[f"{name}_ledger_name"] = (axis, names.astype(str), {"long_name": "side, group or source"})
            variables[f"{name}_ledger"] = ("time", axis), trace.ledger[:, part.reservoirs], QUANTA
    for channels in trace.columns.channels:
        axis = f"{channels.population}_channel"
        variables[f"transported_{channels.population}"] = (("time", axis), trace.transported[:, channels.part], QUANTA)
    return variables
