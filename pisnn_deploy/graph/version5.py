"""Translate artifacts of version 5, which named kinds of neurons instead of storing programs, to version 6.

Input is untrusted: the result is read and checked like any other document, and data of the wrong shape is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.annotations import UTILISATION, PassRecord
from pisnn_deploy.graph.integer import FIELD, FLUX, MEMBRANE
from pisnn_deploy.graph.runs import Runs
from pisnn_deploy.graph.stored import Integers, Plain
from pisnn_deploy.graph.synapse import ARRIVAL
from pisnn_deploy.mesh import structured_mesh
from pisnn_deploy.programs import Program
from pisnn_deploy.programs.neurons import flux, membrane, rectifier, sigma_delta

VERSION = 5
_PARTS = {
    "explicit": ("row_starts", "columns", "mantissas"),
    "stencil": ("boxes", "row_starts", "offsets", "mantissas"),
    "blocks": ("mantissas",),
    "incidence": ("mantissas",),
    "ends": ("mantissas",),
}
_CELL_ARRAYS = ("points", "corners", "source", "target", "face_corners", "material", "group")
_DIRECT = ("spec", "time_step", "coding", "period", "bounds", "profile")
_FIELDS = {*_DIRECT, "schema", "version", "mesh", "medium", "materials", "quantum", "hidden", "flux", "synapses"}
_FIELDS |= {"operator", "window", "binary", "placement", "noted", "stock"}

Stored = dict[str, Integers | Runs]


def translated(described: Plain, arrays: Mapping[str, Integers | Runs]) -> tuple[Plain, Stored]:
    """Translate a document of version 5 to version 6.

    Parameters
    ----------
    described : dict
        Content of ``graph.json``.
    arrays : mapping of str to int64 array or Runs
        Arrays of the artifact, by name.

    Returns
    -------
    arrays : dict of str to int64 array or Runs
        The same arrays, and those that version 5 derived.

    Raises
    ------
    ValueError
        Not a document of version 5.
    """
    unknown = sorted(set(described) - _FIELDS)
    if unknown:
        raise ValueError(f"graph.json: {unknown[0]}: is unknown in version {VERSION}")
    stored = dict(arrays)
    try:
        return _translated(described, stored), stored
    except KeyError as error:
        raise ValueError(f"graph.json: {error.args[0]}: is missing") from error
    except (AttributeError, IndexError, OverflowError, TypeError) as error:
        raise ValueError(f"graph.json: is not a document of version {VERSION} ({error})") from error
    except UsageError as error:
        raise ValueError(f"graph.json: {error}") from error


def _translated(old: Plain, stored: Stored) -> Plain:
    mesh = dict(old["mesh"])
    cells = _size(stored, "membrane.initial")
    reservoirs = _size(stored, "membrane.reservoirs")
    if mesh["kind"] == "cells":
        mesh |= {name: f"mesh.{name}" for name in _CELL_ARRAYS}
    elif math.prod(mesh["shape"]) != cells:
        raise ValueError(f"arrays/membrane.initial.npy has {cells} cells, the mesh {math.prod(mesh['shape'])}")
    initial = stored.pop("membrane.initial")
    assert not isinstance(initial, Runs)
    stored["mass"] = np.concatenate([initial.reshape(-1), np.zeros(min(reservoirs, 6 * cells + 6), np.int64)])
    medium = old["medium"]
    if medium is None:
        stored["medium.inverse_volume"] = Runs(np.ones(1, np.int64), np.array([cells], np.int64))
        volume = math.prod(float(length) / count for length, count in zip(mesh["lengths"], mesh["shape"], strict=True))
    names = ("conductivity", "capacity")
    return {
        **{name: old[name] for name in _DIRECT},
        "schema": old["schema"],
        "version": 6,
        "mesh": mesh,
        "populations": _populations(old, stored, cells + reservoirs),
        "fields": [
            {
                "name": FIELD,
                "holder": MEMBRANE,
                "quantum": old["quantum"],
                "window": old["window"],
                "inverse_volume": "medium.inverse_volume",
                "unit_volume": volume if medium is None else medium["unit_volume"],
                "reservoirs": "membrane.reservoirs",
                "held": "membrane.held",
            }
        ],
        "channels": [
            {
                "population": FLUX,
                "output": 0,
                "source_holder": MEMBRANE,
                "target_holder": MEMBRANE,
                "source": None,
                "target": None,
            }
        ],
        "synapses": [_synapse(synapse) for synapse in old["synapses"]],
        "operator": [
            {**layer, "weight": f"operator{number}.weight", "bias": f"operator{number}.bias"}
            for number, layer in enumerate(old["operator"])
        ],
        "materials": {name: f"materials.{name}" for name in names} if old["materials"] else None,
        "placement": _placement(old),
        "noted": {**old["noted"], "passes": [_record(record) for record in old["noted"]["passes"]]},
    }


def _populations(old: Plain, stored: Stored, holders: int) -> list[Plain]:
    faces = _size(stored, "flux.bias")
    program, parameters = _faces(old, stored, faces)
    described = [
        _population(old, MEMBRANE, holders, membrane(), {}),
        *(
            _population(
                old,
                layer["name"],
                _size(stored, f"{layer['name']}.bias"),
                rectifier(_whole(layer["shift"], 0, 30)),
                {"bias": f"{layer['name']}.bias"},
            )
            for layer in old["hidden"]
        ),
        _population(old, FLUX, faces, program, parameters),
    ]
    described[0]["start"] = {membrane().states[0]: "mass"}
    return described


def _population(old: Plain, name: str, size: int, program: Program, parameters: dict[str, str]) -> Plain:
    return {
        "name": name,
        "size": size,
        "program": str(program).splitlines(),
        "parameters": parameters,
        "start": {},
        "lines": old["binary"].get(name, 0),
    }


def _faces(old: Plain, stored: Stored, faces: int) -> tuple[Program, dict[str, str]]:
    constants = old["flux"]
    if set(constants) - {"threshold_exponent", "leak", "share_shift"}:
        raise ValueError(f"graph.json: flux: {', '.join(sorted(constants))} are not constants of a flux compartment")
    exponent, leak = _whole(constants["threshold_exponent"], 1, 30), _whole(constants["leak"], 1, MEMORYLESS)
    shift = constants.get("share_shift")
    if old.get("stock") is not None:
        if shift is not None or leak != MEMORYLESS or _any(stored.pop("flux.bias")):
            raise ValueError("graph.json: stock: a graph of stock processes has a bias, a leak or a limiter")
        return sigma_delta(_whole(old["stock"]["send_threshold"], 1, 1 << 30), exponent), {}
    if shift is not None:
        raise ValueError("graph.json: flux: a limiter of equal shares is not supported")
    return flux(exponent, leak), {"bias": "flux.bias"}


def _ends(old: Plain, stored: Stored, faces: int) -> tuple[Integers, Integers]:
    """Holders on both sides of each face."""
    mesh = old["mesh"]
    if mesh["kind"] == "structured":
        sides = tuple((lower, upper) for lower, upper in mesh["boundary"])
        grid = structured_mesh(tuple(mesh["shape"]), tuple(mesh["lengths"]), sides)
        return grid.source, grid.target
    ends = []
    for name in ("mesh.source", "mesh.target"):
        array = stored[name]
        if array.size != faces:
            raise ValueError(f"arrays/{name}.npy has {array.size} numbers for {faces} faces")
        ends.append(array.expanded() if isinstance(array, Runs) else array)
    return ends[0], ends[1]


def _synapse(old: Plain) -> Plain:
    kind, port, name = old["kind"], old.get("port", ""), old["name"]
    if kind not in _PARTS or port not in ("", "source", "target") or (kind == "ends") != bool(port):
        raise ValueError(f"synapse {name}: connections of kind {kind!r} and port {port!r} match no port of version 5")
    unknown = sorted(set(old) - {"name", "source", "target", "kind", "exponent", "port"})
    if unknown:
        raise ValueError(f"graph.json: synapse {name}: {unknown[0]}: is unknown")
    return {
        "name": name,
        "source": old["source"],
        "target": old["target"],
        "kind": f"{port}-ends" if port else kind,
        "exponent": old["exponent"],
        "port": f"{port}_mass" if port else ARRIVAL,
        "output": 0,
        "parts": {part: f"{name}.{part}" for part in _PARTS[kind]},
    }


def _placement(old: Plain) -> Plain | None:
    if old["placement"] is None:
        return None
    chain = (MEMBRANE, *(layer["name"] for layer in old["hidden"]), FLUX)
    return {
        **old["placement"],
        "chip": "placement.chip",
        "core": {name: f"placement.{name}" for name in chain},
        "axons": {synapse["name"]: f"axons.{synapse['name']}" for synapse in old["synapses"]},
        "utilisation": {use: f"utilisation.{use}" for use in UTILISATION},
    }


def _record(old: Plain) -> Plain:
    record = PassRecord.read(old["text"], old["summary"])
    return {"name": record.name, "options": record.options, "summary": record.summary}


def _size(stored: Stored, name: str) -> int:
    if name not in stored:
        raise ValueError(f"arrays/{name}.npy: is missing")
    return stored[name].size


def _any(array: Integers | Runs) -> bool:
    return bool((array.values if isinstance(array, Runs) else array).any())


def _whole(number: Any, least: int, most: int) -> int:
    if type(number) is not int or not least <= number <= most:
        raise TypeError(f"{number!r} is not a whole number from {least} to {most}")
    return number
