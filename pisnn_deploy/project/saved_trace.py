"""Content of a saved trace: the arrays of its file by name."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.contract import is_of_one_field
from pisnn_deploy.graph.kinds import face_of
from pisnn_deploy.graph.residues import sees_residues
from pisnn_deploy.runs import Run
from pisnn_deploy.runs.run import Trace


def trace_arrays(graph: IntegerGraph, run: Run, digest: str) -> dict[str, Any]:
    """Arrays of a saved trace by name; ``meta`` is JSON as bytes.

    Parameters
    ----------
    digest : str
        Hash of the artifact.
    """
    trace = run.trace
    meta = {
        **(_of_one_field(graph) if is_of_one_field(graph) else _of_fields(run)),
        "time_step": graph.time_step,
        "artifact": digest,
        "backend": run.backend,
    }
    ledgers = run.ledgers()
    if ledgers:
        meta["ledgers"] = {
            field: {name: gain.quanta for name, gain in gains.items()} for field, gains in ledgers.items()
        }
    return {
        "step": trace.step,
        "time": np.asarray(trace.step * graph.time_step, np.float64),
        "mass": trace.mass.reshape(-1, *graph.shape),
        "ledger": trace.ledger,
        "transported": trace.transported,
        "in_flight": trace.in_flight,
        **({"residue": run.end.residue} if run.end is not None and sees_residues(graph) else {}),
        **_probe_arrays(trace),
        "meta": np.frombuffer(json.dumps(meta, sort_keys=True).encode(), np.uint8),
    }


def _probe_arrays(trace: Trace) -> dict[str, Any]:
    """Arrays of the probes in a saved trace."""
    arrays: dict[str, Any] = {}
    for probed in trace.probes:
        prefix = f"probe.{probed.probe.population}"
        arrays[f"{prefix}.neurons"] = probed.probe.neurons
        arrays |= {f"{prefix}.{name}": rows for name, rows in probed.values.items()}
    return arrays


def _of_one_field(graph: IntegerGraph) -> dict[str, Any]:
    face = face_of(graph)
    return {"quantum": graph.quantum, "theta": None if face is None else 1 << face.packet_exponent}


def _of_fields(run: Run) -> dict[str, Any]:
    """Names and quanta of fields, and where the arrays of a trace have their reservoirs and channels."""
    columns = run.trace.columns
    return {
        "fields": [
            {
                "name": part.name,
                "quantum": part.field.quantum,
                "value_per_quantum": part.field.value_per_quantum,
                "reservoirs": [part.reservoirs.start, part.reservoirs.stop],
            }
            for part in columns.fields
        ],
        "channels": [
            {"population": part.population, "columns": [part.part.start, part.part.stop]} for part in columns.channels
        ],
    }
