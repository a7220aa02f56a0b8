"""The files between the `cpu` backend, its worker and the process models of one run.

A run has a folder of its own. Results are memory-mapped arrays that the models write themselves: reading them through
Lava costs 27 microseconds an element, and they survive the death of the worker. This module imports neither Lava nor
torch.
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
"""numpy publishes no types for it."""

_HEADER_BYTES = 128
"""Of an array file without numbers."""

STEPS, ROWS, TIME_STEPS, PACKETS, QUANTA = range(5)
"""Slots of the status array: PDE steps done, trace rows written, time steps audited, packets and quanta sent."""
VIOLATIONS = slice(5, 5 + len(KINDS))
"""Slots of the status array: violations by kind."""


@dataclass(frozen=True)
class Exchange:
    """The folder of one run.

    Attributes
    ----------
    folder : Path
    """

    folder: Path

    @property
    def artifact(self) -> Path:
        """The graph."""
        return self.folder / "graph.pisnn"

    @property
    def request(self) -> Path:
        """What is asked of the worker, JSON."""
        return self.folder / "request.json"

    @property
    def result(self) -> Path:
        """How the run ended, JSON; missing if the worker did not live to tell."""
        return self.folder / "result.json"

    @property
    def healed(self) -> Path:
        """What the audit has put right, JSON; missing if nothing."""
        return self.folder / "healed.json"

    @property
    def log(self) -> Path:
        """What the worker, Lava and the models print."""
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
        """Make the arrays of a run.

        Parameters
        ----------
        mass : int64 array [holders]
            Masses and ledgers at the start.
        flux : int64 array [3, faces]
            Packets, currents and residues at the start.
        transported : int64 array [faces]
            Packets through each face before the start.
        kept : int64 array [n]
            PDE steps that the trace keeps.
        last_step, populations : int
        everything : bool
            Whether the trace keeps the flux compartments too.
        """
        start = {"initial": mass, "initial_flux": flux, "initial_transported": transported, "kept": kept}
        start["last_step"] = np.array([last_step])
        end = {"end_mass": mass, "end_flux": flux, "end_transported": transported}
        for name, array in (start | end).items():
            np.save(self.folder / f"{name}.npy", array.astype(np.int64), allow_pickle=False)
        shapes: Mapping[str, tuple[int, ...]] = {
            "mass": (kept.size, mass.size),
            "transported": (kept.size, transported.size),
            "in_flight": (kept.size,),
            "flux": (kept.size if everything else 0, *flux.shape),
            "status": (VIOLATIONS.stop,),
            "events": (populations,),
        }
        for name, shape in shapes.items():
            path = self.folder / f"{name}.npy"
            if 0 in shape:  # nothing can be mapped
                np.save(path, np.zeros(shape, np.int64), allow_pickle=False)
            else:
                _NPY.open_memmap(path, "w+", np.int64, shape).flush()

    def create_repairs(self, mass: Integers, flux: Integers) -> None:
        """Make the arrays in which an audit leaves what memories must hold.

        Parameters
        ----------
        mass : int64 array [holders]
        flux : int64 array [3, faces]
        """
        for name, array in {"mended": np.zeros(1), "right_mass": mass, "right_flux": flux[1:]}.items():
            np.save(self.folder / f"{name}.npy", array.astype(np.int64), allow_pickle=False)

    def array(self, name: str) -> Integers:
        """A shared array, mapped for reading and writing.

        Parameters
        ----------
        name : str
            ``initial``, ``initial_flux``, ``initial_transported``, ``kept``, ``last_step``, ``mass``, ``transported``,
            ``in_flight``, ``flux``, ``end_mass``, ``end_flux``, ``end_transported``, ``status`` or ``events``; in runs
            with faults ``mended``, the time step whose states were last found wrong, ``right_mass`` and ``right_flux``.

        Returns
        -------
        int64 array
        """
        path = self.folder / f"{name}.npy"
        array = np.load(path, mmap_mode="r+" if path.stat().st_size > _HEADER_BYTES else None, allow_pickle=False)
        return np.asarray(array)

    def write_json(self, path: Path, content: Mapping[str, object]) -> None:
        """Write a small JSON file, whole or not at all."""
        write_whole(path, json.dumps(content).encode())

    def read_json(self, path: Path) -> dict[str, Any] | None:
        """Read a JSON file; None if there is none."""
        if not path.exists():
            return None
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content

    def events(self, populations: Sequence[str]) -> dict[str, int]:
        """Nonzero payloads sent, by population."""
        return {name: int(count) for name, count in zip(populations, self.array("events"), strict=True)}
