"""What tests of the `cpu` backend share: faults, and looking for what a run left behind."""

from __future__ import annotations

import secrets
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pisnn_deploy.lava import backend as cpu
from pisnn_deploy.runs import Run

FAULTY_WORKER = Path(__file__).with_name("faulty_worker.py")
MARK_VARIABLE = "PISNN_TEST_MARK"


@dataclass(frozen=True)
class Traces:
    """Finds processes, shared memory and files of the runs of one test."""

    mark: str
    folder: Path

    def processes(self) -> list[int]:
        """Living processes that carry the mark in their environment."""
        needle = f"{MARK_VARIABLE}={self.mark}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and needle in (entry / "environ").read_bytes():
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                    if state not in "ZX":
                        found.append(int(entry.name))
            except OSError:
                continue
        return found

    def shared_memory(self) -> list[str]:
        """Names of segments."""
        return sorted(path.name for path in Path("/dev/shm").glob(f"pisnn_{self.mark}*"))

    def files(self) -> list[str]:
        """Names in the folder of temporary files."""
        return sorted(path.name for path in self.folder.iterdir())

    def nothing_left(self) -> bool:
        """Whether a run left no process, no shared memory and no file."""
        return not (self.processes() or self.shared_memory() or self.files())


def marked_run(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Traces:
    """Mark everything that the runs of this test make, and give each a worker of its own, which can be killed."""
    monkeypatch.setattr(cpu, "subprocess", subprocess)
    mark = secrets.token_hex(6)
    monkeypatch.setenv(MARK_VARIABLE, mark)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(secrets, "token_hex", lambda _: mark)
    return Traces(mark, folder)


def break_with(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """Run the network with one faulty model."""
    monkeypatch.setattr(cpu, "worker_command", lambda: [sys.executable, str(FAULTY_WORKER), fault])


def assert_same(found: Run, expected: Run) -> None:
    """Every integer of two runs agrees, and so does the failure."""
    for name in ("step", "mass", "transported", "in_flight"):
        assert np.array_equal(getattr(found.trace, name), getattr(expected.trace, name)), name
    for name in ("steps", "violations", "failure", "packets_sent", "quanta_sent"):
        assert getattr(found, name) == getattr(expected, name), name
    if not expected.failure:
        assert found.time_steps == expected.time_steps
        assert found.events == expected.events


def children(parent: int, candidates: list[int]) -> list[int]:
    """Those of the candidates whose parent is `parent`."""
    return [pid for pid in candidates if _parent(pid) == parent]


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return -1
