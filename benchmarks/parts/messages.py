"""Times of messages between two MPI ranks, printed as JSON: ``mpirun -n 2 python -m benchmarks.parts.messages``."""

from __future__ import annotations

import json
import statistics
import sys
import time

import numpy as np
from mpi4py import MPI

SIZES = (1 << 10, 1 << 13, 1 << 16, 1 << 19, 1 << 22)
"""Bytes."""
ROUNDS, SHORTEST = 9, 0.02
"""Medians are over so many rounds, each of so many seconds or more."""


def one_way(size: int) -> float:
    """Median seconds from one rank to the other: half of there and back."""
    comm = MPI.COMM_WORLD
    buffer, other, count = np.zeros(size, np.uint8), 1 - comm.rank, 1
    times: list[float] = []
    while len(times) < ROUNDS:
        comm.Barrier()
        begun = time.perf_counter()
        for _ in range(count):
            for sender in (0, 1):
                (comm.Send if comm.rank == sender else comm.Recv)(buffer, other)
        took = float(comm.bcast(time.perf_counter() - begun))
        if took < SHORTEST:
            count *= 2
        else:
            times.append(took / (2 * count))
    return statistics.median(times)


if __name__ == "__main__":
    measured = {size: one_way(size) for size in SIZES}
    if MPI.COMM_WORLD.rank == 0:
        json.dump(measured, sys.stdout)
