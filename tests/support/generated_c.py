"""Generated C as a library whose arrays a test reads and writes."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.formats.c.plan import Array, Plan, plan
from pisnn_deploy.formats.c.writer import c_files
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.semantics import Semantics

UNDEFINED = {
    "gcc": ("-O0", "-fsanitize=undefined", "-fno-sanitize-recover=all", "-static-libubsan"),
    "clang": ("-O0", "-fsanitize=undefined", "-fsanitize-trap=undefined"),
}
"""Flags of each compiler that tests use, with a check of undefined behaviour that needs no library of its own."""
STRICT = ("-std=c99", "-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Werror")


class Violation(ctypes.Structure):
    """``struct pisnn_violation``."""

    _fields_ = (
        ("kind", ctypes.c_int),
        ("population", ctypes.c_uint),
        ("index", ctypes.c_uint32),
        ("step", ctypes.c_uint32),
    )

    @property
    def numbers(self) -> tuple[int, int, int, int]:
        """Kind, population, index and PDE step."""
        return self.kind, self.population, self.index, self.step


@dataclass
class Library:
    """A graph in C, compiled and loaded."""

    plan: Plan
    loaded: ctypes.CDLL

    def array(self, array: Array) -> NDArray[np.int64]:
        """An array of the library, which writes to it change."""
        size = int(array.type[3:-2]) // 8
        symbol = f"pisnn_{array.name}" if array.name.endswith(("_mass", "_ledger")) else array.name
        memory = (ctypes.c_byte * (size * array.size)).in_dll(self.loaded, symbol)
        values: NDArray[np.int64] = np.asarray(memoryview(memory)).view(f"<i{size}")
        return values

    def audit(self) -> tuple[int, int, int, int]:
        """Kind, population, index and PDE step of the first violation; the kind is 0 without one."""
        violation = Violation()
        assert self.loaded.pisnn_audit(ctypes.byref(violation)) == violation.kind
        return violation.numbers

    def state(self) -> Iterator[tuple[str, list[int]]]:
        """Masses and ledgers of each field, then states and packets of channels."""
        for holders in self.plan.holders:
            parts = [self.array(array) for array, _ in holders.parts if array.size]
            yield holders.field.name, np.concatenate(parts).tolist()
        for channels, neurons in self.plan.channels:
            for state, array in neurons.states.items():
                yield f"{channels.population}.{state}", self.array(array).tolist()
            yield f"{channels.population}.packet", self.array(neurons.sends[channels.output]).tolist()


def library(graph: IntegerGraph, folder: Path, *flags: str, compiler: str = "gcc") -> Library:
    """Write a graph as C, compile it and load it; undefined behaviour ends the process."""
    parts = plan(graph)
    for name, content in c_files(parts).items():
        (folder / name).write_bytes(content)
    checked = UNDEFINED[compiler]
    assert shutil.which(compiler), f"{compiler} is missing; `make targets` installs it"
    command = [compiler, *STRICT, *checked, *flags, "-DPISNN_STATIC=", "-shared", "-fPIC", "pisnn.c", "-o", "pisnn.so"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:4000]
    return Library(parts, ctypes.CDLL(str(folder / "pisnn.so")))


def in_step(graph: IntegerGraph, compiled: Library, steps: int) -> None:
    """Compare masses, ledgers, states and packets of every PDE step with the reference semantics."""
    semantics = Semantics(graph)
    states = semantics.begin()
    compiled.loaded.pisnn_reset()
    for step in range(steps):
        states, results = semantics.advance(states, step)
        compiled.loaded.pisnn_step()
        expected: dict[str, list[int]] = {}
        for field in graph.fields:
            (mass,) = states[field.holder].values()
            expected[field.name] = mass.tolist()
        for channels in graph.channels:
            name = channels.population
            expected |= {f"{name}.{state}": values.tolist() for state, values in states[name].items()}
            packets = np.broadcast_to(results[name].sends[channels.output], channels.size)
            expected[f"{name}.packet"] = packets.tolist()
        assert dict(compiled.state()) == expected, f"PDE step {step + 1}"
        assert compiled.audit() == (0, 0, 0, 0)
