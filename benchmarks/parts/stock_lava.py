"""Time Lava's own LIF neurons and a Sparse: python stock_lava.py NEURONS ENTRIES STEPS."""

from __future__ import annotations

import sys
import time

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.lif.process import LIF
from lava.proc.sparse.process import Sparse
from scipy import sparse


def main() -> None:
    """Build two layers of LIF with a Sparse between them, with biases so that they spike."""
    neurons, entries, steps = map(int, sys.argv[1:])
    random = np.random.default_rng(0)
    source, target = random.integers(0, neurons, (2, entries))
    weights = sparse.csr_matrix((np.full(entries, 2), (target, source)), (neurons, neurons))
    first = LIF(shape=(neurons,), du=4095, dv=4095, vth=10, bias_mant=random.integers(0, 200, neurons))
    synapses = Sparse(weights=weights, num_message_bits=0)
    last = LIF(shape=(neurons,), du=4095, dv=4095, vth=10)
    first.s_out.connect(synapses.s_in)
    synapses.a_out.connect(last.a_in)
    configuration = Loihi2SimCfg(select_tag="fixed_pt")
    last.run(condition=RunSteps(num_steps=1), run_cfg=configuration)
    started = time.perf_counter()
    last.run(condition=RunSteps(num_steps=steps), run_cfg=configuration)
    print(time.perf_counter() - started)
    last.stop()


if __name__ == "__main__":
    main()
