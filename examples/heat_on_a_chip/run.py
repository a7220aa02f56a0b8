"""Heat on a chip: compile, prove, check, run, draw. From Python, step by step.

Run it with ``python run.py [BACKEND]``; the backend is ``cpu``, real Lava processes, unless another is named.
"""

import sys

import numpy as np

import pisnn_deploy as pisnn

backend = sys.argv[1] if len(sys.argv) > 1 else "cpu"

# The zoo's model of u_t = 0.01 u_xx, for 128 cells of one Loihi 2 chip.
artifact = pisnn.compile("heat1d", profile="loihi2")
print(artifact)

# The certificate is proved again, by code that shares nothing with the compiler.
for finding in artifact.verify():
    print(f"{finding.claim}: {finding.text}")

# Does it fit the chip? What fits by one source and not by another is a warning.
report = artifact.check()
for finding in report.findings:
    print(f"{finding.severity}: {finding.rule} {finding.name}: {finding.message}")
print("fits loihi2:", report.passed)

# The audit looks at every time step; mass is an integer, and compared with ==.
run = artifact.simulate(backend=backend)
print(run)
assert run.mass[0].sum() == run.mass[-1].sum()
assert run.drift == 0

# Any field within the operating range may be the start.
x = (np.arange(128) + 0.5) / 128
own = artifact.simulate(steps=200, backend="fast", initial=1 + 0.3 * np.sin(2 * np.pi * x), every=50)
print("highest cell average over time:", own.values.max(axis=1).round(4).tolist())

run.plot("heat_on_a_chip.png")
artifact.save("heat_on_a_chip.pisnn")
