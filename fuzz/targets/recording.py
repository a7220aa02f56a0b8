"""Recordings of runs, gone on with: rows and a snapshot, handed over as one archive."""

import re
from pathlib import Path

import numpy as np

from fuzz.compiled import small_graph
from fuzz.mutations import Archive, members_of, zipped
from fuzz.oracle import require
from fuzz.target import Target
from pisnn_deploy.core.npy import DAMAGED_ARCHIVE
from pisnn_deploy.runs import RunOptions, run_graph
from pisnn_deploy.runs.recording import discard, recording
from pisnn_deploy.runs.segments import run_in_segments

IDENTITY = {"steps": 20, "every": 3}
OPTIONS = RunOptions(20, 3)


def _seeds(folder: Path) -> list[bytes]:
    graph, contents = small_graph(), []
    for until in (7, 20):
        with recording(folder / "seed", graph, IDENTITY) as record:
            record.begin()
            run = run_graph("fast", graph, graph.initial, RunOptions(20, 3, until=until))
            record.append(run.trace, 0, run.end, 0.5)
            contents.append(zipped({path.name: path.read_bytes() for path in sorted((folder / "seed").iterdir())}))
            discard(folder / "seed")
    return contents


def _read(path: Path) -> None:
    """Unpack the folder, which is no product code, and go on with the run in it."""
    folder, graph = path.with_name("run.npz.partial"), small_graph()
    folder.mkdir(exist_ok=True)
    for left in folder.iterdir():
        left.unlink()
    try:
        members = members_of(path.read_bytes())
    except DAMAGED_ARCHIVE:
        members = {}
    for name, content in members.items():
        if re.fullmatch(r"[a-z_0-9.]{0,40}[a-z_0-9]", name):
            (folder / name).write_bytes(content)
    with recording(folder, graph, IDENTITY) as record:
        run = run_in_segments("fast", graph, graph.initial, OPTIONS, record, resume=True)
    trace = run.trace
    total = np.asarray(trace.mass).sum(axis=1) + np.asarray(trace.ledger).sum(axis=1)
    require(bool((total == total[0]).all()), "a recording was gone on with whose rows do not conserve mass")


TARGET = Target("input.zip", _read, _seeds, Archive(), size=1 << 15)
