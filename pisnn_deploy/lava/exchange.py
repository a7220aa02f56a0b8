"""Files shared by the `cpu` backend, its worker and the process models of one run.

Each run has its own folder. Models write results to memory-mapped arrays, which survive the death of the worker, and
because reading them through Lava takes 27 microseconds per element. This module imports neither Lava nor torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.audit.invariants import KINDS
from pisnn_deploy.core.output import write_whole

Integers = NDArray[np.int64]

_NPY: Any = np.lib.format
"""numpy has no types for this module."""

_HEADER_BYTES = 128
"""Size of the file of an empty array."""

STEPS, ROWS, TIME_STEPS, PACKETS, QUANTA = range(5)
"""Slots of the status array: PDE steps done, trace rows written, time steps audited, packets and quanta sent."""
VIOLATIONS = slice(5, 5 + len(KINDS))
"""Slots of the status array: violations by kind."""


@dataclass(frozen=True)
class Exchange:
    """Folder of one run."""

    folder: Path

    @property
    def artifact(self) -> Path:
        """Path of the graph."""
        return self.folder / "graph.pisnn"

    @property
    def request(self) -> Path:
        """Path of the request to the worker (JSON)."""
        return self.folder / "request.json"

    @property
    def result(self) -> Path:
        """Path of the result (JSON); missing if the worker died."""
        return self.folder / "result.json"

    @property
    def healed(self) -> Path:
        """Path of the repaired violations (JSON); missing without any."""
        return self.folder / "healed.json"

    @property
    def log(self) -> Path:
        """Path of the log of the worker, Lava and the models."""
        return self.folder / "worker.log"

    def create(
        self,
        mass: Integers,
        flux: Integers,
        transported: Integers,
        kept: Integers,
        last_step: int,
        populations: int,
        *,
        everything: bool,
    ) -> None:
        """Create the arrays of a run.

        Parameters
        ----------
        mass : int64 array [holders]
            Initial masses and ledgers, in quanta.
        flux : int64 array [3, faces]
            Initial packets (quanta), currents and residues (flux units).
        transported : int64 array [faces]
            Sum of the packets through each face before the start, in quanta.
        kept : int64 array [n]
            PDE steps of the trace.
        everything : bool
            Whether the trace includes flux compartments.
        """
        start = {"initial": mass, "initial_flux": flux, "initial_transported": transported, "kept": kept}
        start["last_step"] = np.array([last_step])
        end = {"end_mass": mass, "end_flux": flux, "end_transported": transported}
        for name, array in (start | end).items():
            self.save(name, array)
        shapes: Mapping[str, tuple[int, ...]] = {
            "mass": (kept.size, mass.size),
            "transported": (kept.size, transported.size),
            "in_flight": (kept.size,),
            "flux": (kept.size if everything else 0, *flux.shape),
            "status": (VIOLATIONS.stop,),
            "events": (populations,),
        }
        for name, shape in shapes.items():
            self.reserve(name, shape)

    def save(self, name: str, array: Integers) -> None:
        """Create a shared array with its content.

        Parameters
        ----------
        name : str
            Name for `array`.
        array : int array
            Content.
        """
        np.save(self.folder / f"{name}.npy", array.astype(np.int64), allow_pickle=False)

    def reserve(self, name: str, shape: tuple[int, ...]) -> None:
        """Create a shared array of zeros.

        Parameters
        ----------
        name : str
            Name for `array`.
        """
        path = self.folder / f"{name}.npy"
        if 0 in shape:  # empty files cannot be mapped
            np.save(path, np.zeros(shape, np.int64), allow_pickle=False)
        else:
            _NPY.open_memmap(path, "w+", np.int64, shape).flush()

    def create_repairs(self, mass: Integers, flux: Integers) -> None:
        """Create the arrays through which an audit repairs memories.

        Parameters
        ----------
        mass : int64 array [holders]
            Initial masses and ledgers, in quanta.
        flux : int64 array [3, faces]
            Initial packets (quanta), currents and residues (flux units).
        """
        for name, array in {"mended": np.zeros(1), "right_mass": mass, "right_flux": flux[1:]}.items():
            self.save(name, np.asarray(array, np.int64))

    def array(self, name: str) -> Integers:
        """Map a shared array for reading and writing.

        Parameters
        ----------
        name : str
            ``initial``, ``initial_flux``, ``initial_transported``, ``kept``, ``last_step``, ``mass``, ``transported``,
            ``in_flight``, ``flux``, ``end_mass``, ``end_flux``, ``end_transported``, ``status`` or ``events``; in runs
            with faults also ``mended`` (the last time step with wrong states), ``right_mass`` and ``right_flux``; with
            probes those of `pisnn_deploy.lava.probing`.

        Returns
        -------
        int64 array
            The array, with the shape from `create`.
        """
        path = self.folder / f"{name}.npy"
        array = np.load(path, mmap_mode="r+" if path.stat().st_size > _HEADER_BYTES else None, allow_pickle=False)
        return np.asarray(array)

    def write_json(self, path: Path, content: Mapping[str, object]) -> None:
        """Write a small JSON file atomically."""
        write_whole(path, json.dumps(content).encode())

    def read_json(self, path: Path) -> dict[str, Any] | None:
        """Read a JSON file; None if it does not exist."""
        if not path.exists():
            return None
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content

    def events(self, populations: Sequence[str]) -> dict[str, int]:
        """Number of nonzero payloads by population."""
        return {name: int(count) for name, count in zip(populations, self.array("events"), strict=True)}
