"""Run a PISNN on Lava alone: python run.py [--steps N] [--initial MASS.npy] [--save MASS.npy].

Requires lava-nc (Python 3.10), and graph.npz in the same folder. All processes are Lava's own, connected in a ring:

    cells (Sigma) -> drive (Sparse) -> faces (SigmaDelta) -> route (Sparse) -> cells

Cells hold integer masses. A face subtracts a packet from one neighbour and adds the same integer to the other, so the
sum of all masses never changes; it is compared with ``==``. The last neuron of the cells is not a cell: it sends a
constant, so that the shift of the drive rounds to nearest.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core import run_configs
from lava.magma.core.run_conditions import RunSteps
from lava.proc.sdn.process import ActivationMode, Sigma, SigmaDelta
from lava.proc.sparse.process import Sparse
from scipy.sparse import csr_matrix

# The one line to change on a board with Intel's extension of Lava: run_configs.Loihi2HwCfg()
RUN_CONFIGURATION = run_configs.Loihi2SimCfg(select_tag="fixed_pt")


def synapses(data: dict[str, Any], name: str, shape: tuple[int, int]) -> Sparse:
    """Build one of the two synapses of graph.npz; its exponent shifts the sums."""
    mantissas = data[f"{name}_mantissas"].astype(int)
    weights = csr_matrix((mantissas, data[f"{name}_columns"], data[f"{name}_starts"]), shape)
    return Sparse(weights=weights, weight_exp=int(data[f"{name}_exponent"][0]), num_message_bits=24)


def build(data: dict[str, Any], mass: Any) -> Sigma:
    """Build the four processes and return the one with the masses."""
    neurons, count = mass.size, data["weights_starts"].size - 1
    cells = Sigma(shape=(neurons,))
    cells.sigma.init = mass.astype(np.int32)
    drive = synapses(data, "weights", (count, neurons))
    faces = SigmaDelta(shape=(count,), vth=int(data["send_threshold"][0]), act_mode=ActivationMode.UNIT)
    route = synapses(data, "route", (neurons, count))
    cells.s_out.connect(drive.s_in)
    drive.a_out.connect(faces.a_in)
    faces.s_out.connect(route.s_in)
    route.a_out.connect(cells.a_in)
    return cells


def masses_after(steps: int, data: dict[str, Any], mass: Any) -> Any:
    """Run the ring: the first drive arrives in the second time step, the first packets in the third."""
    cells = build(data, mass)
    try:
        cells.run(
            condition=RunSteps(num_steps=steps + 2),
            run_cfg=RUN_CONFIGURATION,
            compile_config={"pypy_channel_size": 2},  # less shared memory
        )
        return cells.sigma.get().astype(np.int64)
    finally:
        cells.stop()  # without it Lava's processes outlive the script


def read_masses(path: str, about: dict[str, Any], cells: int) -> Any:
    """Read initial masses from a file."""
    try:
        with Path(path).open("rb") as stream:
            masses = np.load(stream, allow_pickle=False)
    except Exception as error:  # numpy evaluates a header, whose parser raises a dozen kinds of errors
        sys.exit(f"{path}: cannot be read ({error})")
    if not isinstance(masses, np.ndarray):
        sys.exit(f"{path}: holds several arrays, expected one of {cells} integer masses")
    if masses.dtype.kind not in "iu" or masses.size != cells:
        sys.exit(f"{path}: expected {cells} integer masses, found {masses.size} numbers of type {masses.dtype}")
    lowest, highest = about["lowest_mass"], about["highest_mass"]
    outside = np.flatnonzero((masses < lowest) | (masses > highest))
    if outside.size:
        cell = int(outside[0])
        sys.exit(f"{path}: cell {cell} has the mass {masses.reshape(-1)[cell]}, outside {lowest} to {highest}")
    return masses.reshape(-1)


def main() -> None:
    """Read the graph, run it, check the mass and print the result."""
    parser = argparse.ArgumentParser(description="Run a PISNN on Lava alone.")
    parser.add_argument("--steps", type=int, default=100, help="number of PDE steps (default: 100)")
    parser.add_argument("--initial", metavar="MASS.npy", help="initial integer masses (default: those of the graph)")
    parser.add_argument("--save", metavar="MASS.npy", help="write the final masses to this file")
    words = parser.parse_args()
    if words.steps < 0:
        sys.exit(f"--steps {words.steps}: expected at least 0")
    with np.load(Path(__file__).with_name("graph.npz"), allow_pickle=False) as file:
        data = dict(file)
    about = json.loads(bytes(data["about"]))
    before = data["mass"].astype(np.int64)
    if words.initial is not None:
        before[:-1] = read_masses(words.initial, about, before.size - 1)
    after = masses_after(words.steps, data, before)
    total, total_after = int(before[:-1].sum()), int(after[:-1].sum())
    print(f"{about['model']}: {words.steps} PDE steps to time {words.steps * about['time_step']:.4f}")
    print(f"mass: {total} quanta at the start, {total_after} at the end")
    if words.save is not None:
        np.save(words.save, after[:-1].reshape(about["shape"]), allow_pickle=False)
    if total_after != total or after[-1] != before[-1]:
        sys.exit(f"mass is not conserved: {total_after - total} quanta more than at the start")
    low, high = (end * about["value_per_quantum"] for end in (after[:-1].min(), after[:-1].max()))
    print(f"conserved; values from {low:.6f} to {high:.6f}")


if __name__ == "__main__":
    main()
