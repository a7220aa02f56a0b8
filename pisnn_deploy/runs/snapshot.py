"""Snapshot file of a recorded run: its state, and the state before the last segment, to verify it."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.npy import DAMAGED_ARCHIVE, int64_array, write_arrays
from pisnn_deploy.core.output import whole_file
from pisnn_deploy.core.pointers import require_content
from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.runs.run import Integers, RunState

REMEDY = "start anew without `resume`"
_ARRAYS = ("mass", "current", "residue", "transported")
_BEFORE = "before_"
"""Name prefix of the earlier state's arrays."""
_LARGEST_TEXT = 1 << 20
"""Largest size of a snapshot's metadata and headers, in bytes."""
_LARGEST_NUMBER = 1 << 62
"""Limit of steps, rows and quanta in flight, which are 64-bit integers."""
_LARGEST_COUNT = 1 << 128
"""Limit of counts over a run, which are Python integers; no run reaches it."""
_LONGEST_REASON = 80
_LIMITS = {
    **dict.fromkeys(("step", "in_flight"), _LARGEST_NUMBER),
    **dict.fromkeys(("packets_sent", "quanta_sent"), _LARGEST_COUNT),
}
_FACTS = frozenset((*_LIMITS, "events", "before", "rows", "seconds", "identity", "in_flight_sha256"))


@dataclass(frozen=True)
class Snapshot:
    """Progress of a recorded run.

    Attributes
    ----------
    before : RunState or None
        State at the start of the last segment; None for the start of the run.
    rows : int
        Number of rows of the trace on disk.
    seconds : float
        Total time of stepping so far.
    in_flight_sha256 : str
        Hash of the packets in flight in all rows, which cannot be computed from other data.
    identity : mapping of str to object
        Identity of the run; JSON values.
    """

    state: RunState
    before: RunState | None
    rows: int
    seconds: float
    in_flight_sha256: str
    identity: Mapping[str, object]


def write_snapshot(path: Path, snapshot: Snapshot) -> None:
    """Write a snapshot atomically."""
    before = snapshot.before
    facts = _facts(snapshot.state) | {
        "before": None if before is None else _facts(before),
        "rows": snapshot.rows,
        "seconds": snapshot.seconds,
        "in_flight_sha256": snapshot.in_flight_sha256,
        "identity": snapshot.identity,
    }
    arrays = _arrays(snapshot.state, "") | ({} if before is None else _arrays(before, _BEFORE))
    with whole_file(path) as stream:
        text = np.frombuffer(json.dumps(facts).encode(), np.uint8).astype(np.int64)
        write_arrays(stream, {"said": text, **arrays})


def read_snapshot(path: Path, graph: IntegerGraph) -> Snapshot:
    """Read an untrusted snapshot and check its form, but not the meaning of its states.

    Parameters
    ----------
    graph : IntegerGraph
        Graph of the run.

    Raises
    ------
    FileError
        If it is damaged, or of another mesh.
    """
    try:
        require_content(path)
        members = _members(path, _largest(graph))
        facts: dict[str, Any] = json.loads(members.pop("said").astype(np.uint8).tobytes())
        if not set(facts) <= _FACTS:
            raise ValueError("unexpected metadata")
        state = _state(facts, members, "")
        before = None if facts.get("before") is None else _state(facts["before"], members, _BEFORE)
        if members:
            raise ValueError("unexpected members")
        rows, seconds = _counted(facts["rows"], _LARGEST_NUMBER), float(facts["seconds"])
        if not 0 <= seconds < math.inf:
            raise ValueError("an invalid time")
        identity = facts["identity"]
        snapshot = Snapshot(
            state,
            before,
            rows,
            seconds,
            str(facts.get("in_flight_sha256")),
            identity if isinstance(identity, dict) else {},
        )
    except (*DAMAGED_ARCHIVE, TypeError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:_LONGEST_REASON]
        raise FileError(path, f"is damaged ({reason})", remedy=REMEDY) from error
    columns = columns_of(graph)
    for snapshot_state in (state, before):
        sizes = None if snapshot_state is None else [getattr(snapshot_state, name).shape for name in _ARRAYS]
        if sizes is not None and sizes != [(columns.holders,), *[(columns.size,)] * 3]:
            raise FileError(path, "is damaged (arrays of another mesh)", remedy=REMEDY)
    return snapshot


def _facts(state: RunState) -> dict[str, object]:
    """Metadata of a state."""
    facts = {field.name: getattr(state, field.name) for field in fields(state) if field.name not in _ARRAYS}
    return facts | {"events": dict(state.events)}


def _arrays(state: RunState, prefix: str) -> dict[str, Integers]:
    return {f"{prefix}{name}": np.asarray(getattr(state, name), np.int64) for name in _ARRAYS}


def _state(facts: Mapping[str, Any], members: dict[str, Integers], prefix: str) -> RunState:
    """Build a state from metadata and arrays; removes the arrays from `members`."""
    step, in_flight, packets, quanta = (_counted(facts[name], limit) for name, limit in _LIMITS.items())
    events = {str(name): _counted(count, _LARGEST_COUNT) for name, count in facts["events"].items()}
    mass, current, residue, transported = (members.pop(f"{prefix}{name}") for name in _ARRAYS)
    return RunState(step, mass, current, residue, transported, in_flight, packets, quanta, events)


def _counted(value: object, limit: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < limit:
        raise ValueError("an invalid count")
    return value


def _largest(graph: IntegerGraph) -> int:
    """Largest size of a snapshot in bytes; larger files are refused before reading."""
    columns = columns_of(graph)
    return _LARGEST_TEXT + 16 * (columns.holders + len(_ARRAYS) * columns.size)


def _members(path: Path, largest: int) -> dict[str, Integers]:
    """Arrays of a snapshot by name, none larger than its stored bytes."""
    if path.stat().st_size > largest:
        raise ValueError(f"larger than {largest} bytes")
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        if len({info.filename for info in infos}) != len(infos) or len(infos) > 1 + 2 * len(_ARRAYS):
            raise ValueError("unexpected members")
        if any(info.compress_type != zipfile.ZIP_STORED or info.file_size > largest for info in infos):
            raise ValueError("a member is compressed, or larger than the file")
        return {info.filename.removesuffix(".npy"): int64_array(archive.read(info)) for info in infos}
